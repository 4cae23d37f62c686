// `verify` names every point that `restore` refuses, where the log itself can be read and only what it
// says does not fit: packs that no event names, patches of what is lost, a commit that comes twice.

import { cpSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { compact, forgetPoints, openLedger } from '../../../index.ts';
import { nodeFiles } from '../../../adapters/files/files.ts';
import { openEventLog } from '../../../adapters/stores/event-log-embedded/event-log-embedded.ts';
import { NO_STREAM, type NewEvent, type StoredEvent } from '../../../domain/ports/event-log.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { judge, type Judgement } from '../../support/spoiled/damaged-ledger.ts';
import { makeImage, seededRandom, type Random } from '../../support/images.ts';
import { valueOf } from '../../support/outcomes.ts';
import { digestOf, recordBytes, type Expected } from '../../support/ledgers/small-ledger.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const noise = (length: number, random: Random): Uint8Array =>
  Uint8Array.from({ length }, () => random(256));

let folder: TemporaryFolder;
let url: string;
let scratch: string;
const expected: Expected = new Map();

beforeEach(async () => {
  folder = await makeTemporaryFolder();
  url = join(folder.path, 'ledger');
  scratch = join(folder.path, 'scratch');
  expected.clear();
});
afterEach(() => folder.remove());

/** Records images as captures of VMs, in turn. */
async function record(images: readonly (readonly [string, Uint8Array])[]): Promise<void> {
  const ledger = await openLedger({ url, mode: 'create', threads: 0 });
  for (const [vm, bytes] of images) {
    const capture = await recordBytes(ledger, { vm, bytes, scratch });
    expected.set(`${vm}@${capture}`, digestOf(bytes));
  }
  await ledger.close();
}

/** Writes the log anew, with what becomes of each event. */
async function relog(become: (event: StoredEvent) => readonly NewEvent[]): Promise<void> {
  const next = join(folder.path, 'next');
  const from = await valueOf(openEventLog({ folder: join(url, 'log'), files: nodeFiles }));
  const to = await valueOf(openEventLog({ folder: next, files: nodeFiles }));
  const ends = new Map<string, number>();
  for await (const { items } of from.read({ from: 0n }))
    for (const item of items) {
      if (item._tag === 'damage') throw new TypeError('the log is damaged before it is changed');
      const { stream } = item.event;
      const events = become(item.event);
      if (events.length === 0) continue;
      const expectedRevision = ends.get(stream) ?? NO_STREAM;
      const done = await valueOf(to.append({ stream, expectedRevision, events }));
      ends.set(stream, done.revision);
    }
  await from.close();
  await to.close();
  rmSync(join(url, 'log'), { recursive: true });
  renameSync(next, join(url, 'log'));
}

const judged = (derived: 'gone' | 'helps' = 'gone'): Promise<Judgement> =>
  judge({ url, expected, scratch, derived });

describe('verify names the points whose pages', () => {
  test('lie in packs that no event names', async () => {
    const image = makeImage({ seed: 3, pages: 24 });
    await record([
      ['first', image],
      ['web', image],
    ]);
    await relog((event) => (event.stream === 'vm-first' ? [] : [event]));
    expected.delete('first@1');
    const { faults, failed, findings } = await judged();
    expect(faults).toEqual([]);
    expect([...failed.keys()]).toEqual(['web@1']);
    expect(findings.map(({ kind }) => kind)).toContain('reference');
  });

  test('are patches that compaction made of pages whose pack is lost', async () => {
    const random = seededRandom(5);
    const pages = 48;
    const bytes = Buffer.alloc(pages * PAGE_BYTES);
    const HALF_NOISE = 1500;
    for (let page = 0; page < pages; page += 1)
      bytes.set(noise(HALF_NOISE, random), page * PAGE_BYTES);
    const images: [string, Uint8Array][] = [];
    for (let capture = 0; capture < 3; capture += 1) {
      images.push(['web', Buffer.from(bytes)]);
      const other = Buffer.from(bytes);
      for (let page = 20; page < pages; page += 1)
        other.set(noise(HALF_NOISE, random), page * PAGE_BYTES);
      images.push(['db', other]);
      for (let page = 0; page < 12; page += 1) bytes[page * 4 * PAGE_BYTES + 200 * capture]! ^= 85;
    }
    await record(images);
    const ledger = await openLedger({ url, mode: 'write', threads: 0 });
    await forgetPoints(ledger, { vm: 'db', before: '@3' });
    const { rewritten } = await compact(ledger, { graceMs: 0, isDryRun: false });
    await ledger.close();
    expect(rewritten.packs).toBeGreaterThan(0);
    for (const point of ['db@1', 'db@2']) expected.delete(point);
    const whole = join(folder.path, 'whole');
    cpSync(url, whole, { recursive: true });
    const lostPoints = new Set<string>();
    for (let lost = 0; lost < images.length; lost += 1) {
      rmSync(url, { recursive: true });
      cpSync(whole, url, { recursive: true });
      let packs = 0;
      await relog((event) => {
        if (event.type !== 'PackWritten') return [event];
        packs += 1;
        return packs - 1 === lost ? [{ ...event, data: new Uint8Array(4) }] : [event];
      });
      const { faults, failed } = await judged();
      expect(faults).toEqual([]);
      for (const point of failed.keys()) lostPoints.add(point);
    }
    expect(lostPoints.size).toBeGreaterThan(images.length / 2);
  });

  test('would be in doubt if a capture that was committed twice had not its first commit', async () => {
    const image = makeImage({ seed: 4, pages: 24 });
    const next = Buffer.from(image);
    next.set(makeImage({ seed: 5, pages: 2 }));
    await record([
      ['web', image],
      ['web', next],
    ]);
    let commits = 0;
    await relog((event) => {
      if (event.type !== 'CaptureCommitted') return [event];
      commits += 1;
      return commits === 2 ? [event, { ...event, id: Buffer.alloc(16, 7) }] : [event];
    });
    for (const derived of ['helps', 'gone'] as const) {
      const { faults, failed, findings } = await judged(derived);
      expect(faults).toEqual([]);
      expect([...failed]).toEqual([]);
      expect(findings.map(({ reason, affects }) => [reason, affects])).toEqual([
        [expect.stringContaining('capture 2 was committed before it'), []],
      ]);
    }
    await record([['web', image]]);
    expect([...expected.keys()]).toEqual(['web@1', 'web@2', 'web@3']);
    expect((await judged()).faults).toEqual([]);
  });
});

test('events of a later release are passed over with a word, and are a note', async () => {
  await record([['web', makeImage({ seed: 6, pages: 24 })]]);
  await relog((event) =>
    event.stream === 'ledger'
      ? [event, { ...event, id: Buffer.alloc(16, 9), type: 'PageTeleported' }]
      : [event],
  );
  rmSync(join(url, 'projections'), { recursive: true });
  const told: string[] = [];
  const onNotice = (sentence: string): number => told.push(sentence);
  const ledger = await openLedger({ url, mode: 'read', threads: 0, onNotice });
  await ledger.state.catchUp({ heavy: false });
  await ledger.close();
  expect(told).toEqual([expect.stringContaining('found an event of type PageTeleported')]);
  const { faults, failed, findings } = await judged();
  expect(faults).toEqual([]);
  expect([...failed]).toEqual([]);
  expect(findings).toEqual([expect.objectContaining({ kind: 'newer-event', isNote: true })]);
});
