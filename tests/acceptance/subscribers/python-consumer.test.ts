// A consumer in another language, written from docs/events.md alone (examples/subscriber): it expands
// the bytes of a recorded log to the page events that the ledger itself shows.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  decodePageColumns,
  KIND_BROKE,
  KIND_MASK,
  KIND_MERGED,
  KIND_STORED,
} from '../../../domain/events/pages-written.ts';
import { NO_STREAM } from '../../../domain/ports/event-log.ts';
import { vmStream } from '../../../domain/events/streams.ts';
import {
  compact,
  forgetPoints,
  openLedger,
  PAGE_BYTES,
  retireVm,
  type Ledger,
} from '../../../index.ts';
import { LedgerCommands, jsonRows, type JsonRow } from '../../support/command-line.ts';
import { planCapture, type PlannedCapture } from '../../support/hand-made-captures.ts';
import { changeImage, makeImage, seededRandom } from '../../support/images.ts';
import {
  neutralEvents,
  neutralLines,
  type NeutralEvent,
} from '../../support/logs/neutral-events.ts';
import { valueOf } from '../../support/outcomes.ts';
import { distinctPages, recordImage } from '../../support/ledgers/recorded-images.ts';
import { sourceRoot } from '../../support/sources/source-root.ts';
import { recordBytes, streamOf } from '../../support/ledgers/small-ledger.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const LONG_MS = 300_000;
const CONSUMER = join(sourceRoot(), 'examples/subscriber/read_events.py');
const PAGE_EVENTS = ['PageStored', 'PageMerged', 'PatternPageShared', 'SharingBroken'];
/** Page events of a first capture: more than a batch takes. */
const PAGES = 17_000;

const version = spawnSync('python3', ['-c', 'import sys; print(sys.version_info >= (3, 11))'], {
  encoding: 'utf8',
});
const hasPython = version.stdout?.trim() === 'True';
/** Skipped where there is no Python 3.11, and the report of the run says so. */
const describeWithPython = hasPython ? describe : describe.skip;

interface Consumed {
  readonly status: number | null;
  readonly stderr: string;
  readonly rows: JsonRow[];
}

function consume(input: string, ...words: readonly string[]): Consumed {
  const { status, stdout, stderr } = spawnSync('python3', [CONSUMER, ...words], {
    input,
    encoding: 'utf8',
    maxBuffer: 512 * 1024 * 1024,
  });
  return { status, stderr, rows: jsonRows(stdout) };
}

async function append(ledger: Ledger, plan: PlannedCapture): Promise<number> {
  const stream = vmStream(plan.vm);
  const expectedRevision = await valueOf(ledger.log.streamRevision(stream));
  await valueOf(ledger.log.append({ stream, expectedRevision, events: plan.batches }));
  return expectedRevision + 1;
}

async function commit(ledger: Ledger, plan: PlannedCapture, firstRevision: number): Promise<void> {
  const stream = vmStream(plan.vm);
  const expectedRevision = await valueOf(ledger.log.streamRevision(stream));
  const events = plan.commit(firstRevision);
  await valueOf(ledger.log.append({ stream, expectedRevision, events }));
}

/** Two that record at once, store the same content each, and commit in the other order. */
async function recordAtOnce(ledger: Ledger): Promise<void> {
  const how = { rowsMax: 3, packPagesMax: 2 };
  for (const pages of [
    { one: [1, 2, 3, 0, 3, 4], two: [4, 3, 9, 0, 0, 2] },
    { one: [5, 2, 2, 6, 0, 4], two: [4, 5, 6, 7, 0, 1] },
  ]) {
    const plans = [];
    for (const [vm, contents] of Object.entries(pages))
      plans.push(await planCapture(ledger.state, { vm, pages: contents, ...how }));
    const firsts = [];
    for (const plan of plans) firsts.push(await append(ledger, plan));
    for (const i of [1, 0]) await commit(ledger, plans[i]!, firsts[i]!);
  }
}

describeWithPython('the consumer in Python', () => {
  let folder: TemporaryFolder;
  let commands: LedgerCommands;
  let events: NeutralEvent[];
  let shown: JsonRow[];

  beforeAll(async () => {
    folder = await makeTemporaryFolder();
    const url = join(folder.path, 'ledger');
    commands = new LedgerCommands(url);
    const ledger = await openLedger({ url, mode: 'create', threads: 0 });
    const scratch = join(folder.path, 'scratch');
    const mixed = makeImage({ seed: 1, pages: 300 });
    const large = distinctPages({ pages: PAGES, seed: 1 });
    large.fill(0, large.length / 2, large.length / 2 + 400 * 4096);
    large.set(mixed, 0);
    await recordImage(ledger, { vm: 'red', image: large, folder: folder.path });
    await recordBytes(ledger, { vm: 'green.2', bytes: streamOf(mixed), scratch });
    // Nobody ever commits these.
    const left = await planCapture(ledger.state, { vm: 'left', pages: [1, 2, 0], rowsMax: 1 });
    const request = { stream: vmStream('left'), expectedRevision: NO_STREAM };
    await valueOf(ledger.log.append({ ...request, events: left.batches }));
    const changed = changeImage(mixed, { seed: 2, changedPages: 60 });
    await recordBytes(ledger, { vm: 'green.2', bytes: streamOf(changed), scratch });
    await recordImage(ledger, {
      vm: 'red',
      image: changeImage(large, { seed: 3, changedPages: 200 }),
      folder: folder.path,
    });
    await retireVm(ledger, 'red');
    const again = changeImage(changed, { seed: 4, changedPages: 150 });
    await recordBytes(ledger, { vm: 'green.2', bytes: streamOf(again), scratch });
    // The last ones, as their packs are not there: who records looks whether what it may link to is.
    await recordAtOnce(ledger);
    events = await neutralEvents(ledger.log);
    await ledger.close();
    shown = (await commands.json('log', '--pages')).filter(({ type }) =>
      PAGE_EVENTS.includes(String(type)),
    );
  }, LONG_MS);
  afterAll(() => folder.remove());

  test(
    'prints every page event as the ledger shows it',
    () => {
      const { status, stderr, rows } = consume(neutralLines(events));
      expect([status, stderr]).toEqual([0, '']);
      expect(rows.length).toBeGreaterThan(PAGES + 700);
      expect(rows).toEqual(shown);
      expect(new Set(rows.map(({ type }) => type))).toEqual(new Set(PAGE_EVENTS));
      expect(new Set(rows.map(({ scope }) => scope))).toEqual(
        new Set(['intra', 'inter', undefined]),
      );
      expect(new Set(events.map(({ type }) => type))).toContain('DeviceStateWritten');
    },
    LONG_MS,
  );

  test(
    'stores anew, as the ledger does, what was forgotten and let go of',
    async () => {
      const url = join(folder.path, 'forgotten');
      const ledger = await openLedger({ url, mode: 'create', threads: 0 });
      const random = seededRandom(21);
      const noise = (pages: number): Uint8Array =>
        Uint8Array.from({ length: pages * PAGE_BYTES }, () => random(256));
      const first = noise(60);
      const second = Buffer.from(first);
      second.set(noise(30), 0);
      for (const image of [first, second])
        await recordImage(ledger, { vm: 'old', image, folder: folder.path });
      await forgetPoints(ledger, { vm: 'old', before: '@2' });
      await compact(ledger, { graceMs: 0, isDryRun: false });
      await recordImage(ledger, { vm: 'new', image: first, folder: folder.path });
      const told = await neutralEvents(ledger.log);
      await ledger.close();
      const rows = await new LedgerCommands(url).json('log', '--pages');
      const expected = rows.filter(({ type }) => PAGE_EVENTS.includes(String(type)));
      const anew = expected.filter(({ vm, type }) => vm === 'new' && type === 'PageStored');
      expect(anew).toHaveLength(30);
      // Which points were forgotten is not in the rows' own events.
      const plain = expected.map(({ forgotten: _forgotten, ...row }) => row);
      expect(consume(neutralLines(told)).rows).toEqual(plain);
    },
    LONG_MS,
  );

  test(
    'prints outcomes as their recorders saw them where asked, and they differ',
    () => {
      const { rows } = consume(neutralLines(events), '--recorded');
      const told = rows.map((row) => `${String(row['item'])} ${String(row['type'])}`);
      expect(told.toSorted()).toEqual(recordedEvents(events).toSorted());
      const folded = shown.map((row) => `${String(row['item'])} ${String(row['type'])}`);
      expect(told.toSorted()).not.toEqual(folded.toSorted());
    },
    LONG_MS,
  );

  test(
    'takes the name of the ledger off the streams of a log that others share',
    () => {
      const foreign = { stream: 'other-1', position: '0', type: 'Other', data: '!' };
      const shared = events.map((event) => ({ ...event, stream: `a.b.${event.stream}` }));
      const input = `${JSON.stringify(foreign)}\n${neutralLines(shared)}`;
      const { status, rows } = consume(input, '--prefix', 'a.b.');
      expect(status).toBe(0);
      expect(rows).toEqual(shown);
    },
    LONG_MS,
  );

  test(
    'believes no batch that is cut short, altered, missing, or of a newer schema',
    () => {
      const small = events.filter(({ stream }) => stream === 'vm-one' || stream === 'vm-two');
      const batch = small.findIndex(({ type }) => type === 'PagesWritten');
      const bytes = Buffer.from(small[batch]!.data, 'base64');
      const altered = Buffer.from(bytes);
      altered[bytes.length - 1]! ^= 1;
      const withData = (data: Buffer): NeutralEvent[] =>
        small.with(batch, { ...small[batch]!, data: data.toString('base64') });
      for (const [input, why] of [
        [withData(bytes.subarray(0, bytes.length - 1)), 'not those that were committed'],
        [withData(altered), 'not those that were committed'],
        [small.toSpliced(batch, 1), 'batches are missing'],
        [small.with(batch, { ...small[batch]!, schema: 4 }), 'is of schema 4'],
      ] as const) {
        const { status, stderr } = consume(neutralLines(input));
        expect([status, stderr.split('\n').length]).toEqual([1, 2]);
        expect(stderr).toContain(why);
      }
    },
    LONG_MS,
  );
});

/** Page events of committed captures as recorded, each as its item and type. */
function recordedEvents(events: readonly NeutralEvent[]): string[] {
  const committed = new Set(
    events.filter(({ type }) => type === 'CaptureCommitted').map(({ stream }) => stream),
  );
  const told: string[] = [];
  for (const { type, schema, stream, data } of events) {
    if (type !== 'PagesWritten' || !committed.has(stream)) continue;
    const columns = decodePageColumns({ schema, data: Buffer.from(data, 'base64') });
    if (columns._tag === 'Left') throw columns.left;
    const { kinds, firstRow } = columns.right;
    for (const [row, kind] of kinds.entries()) {
      const item = 2 * (firstRow + row);
      const outcome = kind & KIND_MASK;
      const isMerged = outcome === KIND_MERGED;
      const name =
        outcome === KIND_STORED ? 'PageStored' : isMerged ? 'PageMerged' : 'PatternPageShared';
      told.push(`${item} ${name}`);
      if ((kind & KIND_BROKE) !== 0) told.push(`${item + 1} SharingBroken`);
    }
  }
  return told;
}
