// A guest may hold anything in its memory, also bytes of the very ledger that it is recorded into: records
// of its log, packs, keys, headers. Whatever it holds, and whatever of its own events is damaged then,
// nothing that it holds is ever taken for an event, and the points of others are as they were.

import { cpSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { openLedger } from '../../../index.ts';
import { nodeFiles } from '../../../adapters/files/files.ts';
import { openEventLog } from '../../../adapters/stores/event-log-embedded/event-log-embedded.ts';
import type { NewEvent } from '../../../domain/ports/event-log.ts';
import { vmStream } from '../../../domain/events/streams.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { judge } from '../../support/spoiled/damaged-ledger.ts';
import { seededRandom, type Random } from '../../support/images.ts';
import { valueOf } from '../../support/outcomes.ts';
import { makeSmallLedger, recordBytes, type Expected } from '../../support/ledgers/small-ledger.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const RUNS = Number(process.env['PAGELEDGER_HOSTILE'] ?? 2);
const PAGES = 48;
const ATTACKER = 'mallory';

let folder: TemporaryFolder;
let whole: string;
let url: string;
let expected: Expected;
/** All bytes of the ledger, file by file. */
let own: Buffer[];
let streams: Set<string>;

const filesIn = (of: string): string[] =>
  readdirSync(of, { recursive: true, encoding: 'utf8' })
    .map((name) => join(of, name))
    .filter((path) => statSync(path).isFile())
    .toSorted();
const logsIn = (of: string): string[] =>
  filesIn(join(of, 'log')).filter((path) => path.endsWith('.log'));

beforeAll(async () => {
  folder = await makeTemporaryFolder();
  [whole, url] = [join(folder.path, 'whole'), join(folder.path, 'ledger')];
  expected = await makeSmallLedger({ url: whole, scratch: folder.path });
  own = filesIn(whole)
    .map((path) => readFileSync(path))
    .filter(({ length }) => length > 0);
  streams = new Set((await eventsIn(whole)).map(({ stream }) => stream));
});
afterAll(() => folder.remove());

/** What the log of a ledger has, as a reader finds it. */
async function eventsIn(of: string) {
  const log = await valueOf(openEventLog({ folder: join(of, 'log'), files: nodeFiles }));
  const found = [];
  for await (const { items } of log.read({ from: 0n }))
    for (const item of items)
      if (item._tag === 'event') {
        const { stream, revision, type, id } = item.event;
        found.push({ stream, revision, type, id: Buffer.from(id).toString('hex') });
      }
  await log.close();
  return found;
}

/** Bytes of the ledger's own from a random place, mostly of its log. */
function slice(random: Random, lengthBytes: number): Buffer {
  const logs = logsIn(whole).map((path) => readFileSync(path));
  const of = random(2) === 0 ? logs[random(logs.length)]! : own[random(own.length)]!;
  const from = random(of.length);
  return Buffer.concat([of.subarray(from, from + lengthBytes)], lengthBytes);
}

/** Records a memory of such bytes, twice, and then whole records as batches, as gfns would stand in them. */
async function attack(random: Random): Promise<void> {
  const memory = Buffer.concat(Array.from({ length: PAGES }, () => slice(random, PAGE_BYTES)));
  // Both ends are noise: a file of text alone is not taken for memory.
  for (const page of [0, PAGES - 1])
    for (let i = 0; i < PAGE_BYTES; i += 1) memory[page * PAGE_BYTES + i] = random(256);
  const ledger = await openLedger({ url, mode: 'write', threads: 0 });
  const scratch = join(folder.path, 'image');
  await recordBytes(ledger, { vm: ATTACKER, bytes: memory, scratch });
  for (let i = 0; i < 6; i += 1)
    memory.set(slice(random, PAGE_BYTES), (1 + random(PAGES - 2)) * PAGE_BYTES);
  await recordBytes(ledger, { vm: ATTACKER, bytes: memory, scratch });
  await ledger.close();
  const log = await valueOf(openEventLog({ folder: join(url, 'log'), files: nodeFiles }));
  const stream = vmStream(ATTACKER);
  const bytes = Buffer.concat(logsIn(url).map((path) => readFileSync(path)));
  for (let i = 0; i < 4; i += 1) {
    const from = random(bytes.length);
    const event: NewEvent = {
      id: Uint8Array.from({ length: 16 }, () => random(256)),
      type: 'PagesWritten',
      schema: 2,
      timeMs: 0,
      data: bytes.subarray(from, from + random(6000)),
    };
    const expectedRevision = await valueOf(log.streamRevision(stream));
    await valueOf(log.append({ stream, expectedRevision, events: [event] }));
  }
  await log.close();
}

/** Everything that the victims had is as it was, and nobody else has come. */
async function expectUnchanged(before: Awaited<ReturnType<typeof eventsIn>>): Promise<void> {
  const known = new Set(before.map((event) => JSON.stringify(event)));
  for (const event of await eventsIn(url)) expect(known.has(JSON.stringify(event))).toBe(true);
  const scratch = join(folder.path, 'scratch');
  const { faults, failed } = await judge({ url, expected, scratch, derived: 'gone' });
  expect(faults).toEqual([]);
  expect([...failed]).toEqual([]);
}

test('hostile pages and batches are never events, whatever is damaged among them', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(), async (seed) => {
      const random = seededRandom(seed);
      rmSync(url, { recursive: true, force: true });
      cpSync(whole, url, { recursive: true });
      const sizes = new Map(logsIn(url).map((path) => [path, statSync(path).size]));
      await attack(random);
      const events = await eventsIn(url);
      expect(new Set(events.map(({ stream }) => stream))).toEqual(
        new Set([...streams, vmStream(ATTACKER)]),
      );
      await expectUnchanged(events);
      // Of what the attacker had appended, a bit is flipped, or the end is torn off.
      const file = logsIn(url).at(-1)!;
      const bytes = readFileSync(file);
      const first = sizes.get(file) ?? 0;
      const at = first + random(bytes.length - first);
      if (random(3) === 0) writeFileSync(file, bytes.subarray(0, at));
      else {
        bytes[at]! ^= 1 << random(8);
        writeFileSync(file, bytes);
      }
      await expectUnchanged(events);
    }),
    { numRuns: RUNS, endOnFailure: true },
  );
});
