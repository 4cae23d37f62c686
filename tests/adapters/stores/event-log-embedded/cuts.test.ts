// The embedded log gives room back: what is left of ended segments takes their place, whole or not at
// all, wherever a crash strikes, while others append and read.

import { describe, expect, test } from '@jest/globals';
import { openEventLog } from '../../../../adapters/stores/event-log-embedded/event-log-embedded.ts';
import { isLedgerError } from '../../../../domain/values/ledger-error.ts';
import type { EventLog, StoredEvent } from '../../../../domain/ports/event-log.ts';
import { LOG_FORMATS, withLogFolder } from '../../../support/logs/embedded-logs.ts';
import {
  eventsOf,
  itemsOf,
  lineOf,
  lineOfItem,
  makeEvents,
  streamOf,
} from '../../../support/logs/log-events.ts';
import { gather, valueOf } from '../../../support/outcomes.ts';
import { LossyFiles } from '../../../simulation/lossy-files.ts';

const FOLDER = '/log';
const STREAMS = ['a', 'b', 'c'];
const CUTS = new Map([
  ['a', 25],
  ['b', 9],
]);

/** Appends to three streams in turn, in several segments; gives all events. */
async function fill(log: EventLog & { seal?: () => unknown }, rounds: number) {
  for (let i = 0; i < rounds; i += 1)
    for (const stream of STREAMS) {
      const expectedRevision = await valueOf(log.streamRevision(stream));
      await valueOf(log.append({ stream, expectedRevision, events: makeEvents(1 + (i % 3)) }));
    }
  return eventsOf(log);
}

const keptOf = (events: readonly StoredEvent[]): StoredEvent[] =>
  events.filter(({ stream, revision }) => revision >= (CUTS.get(stream) ?? 0));

/** Every event that stays is there, and whatever is there was. */
async function check(log: EventLog, before: readonly StoredEvent[]): Promise<void> {
  const lines = new Set((await eventsOf(log)).map(lineOf));
  for (const event of keptOf(before)) expect(lines).toContain(lineOf(event));
  for (const event of keptOf(before).filter((_, i) => i % 5 === 0)) {
    const { stream, revision: from, position } = event;
    expect((await streamOf(log, stream, { from, count: 1, position })).map(lineOf)).toEqual([
      lineOf(event),
    ]);
  }
}

describe.each(LOG_FORMATS)('a log of format %d whose beginnings are let go', (format) => {
  test('takes less room, and nothing of it is called damage', () =>
    withLogFolder(async (folder) => {
      const log = await folder.open({ segmentBytesMax: 3000 });
      const before = await fill(log, 30);
      const reader = await folder.open({ readOnly: true });
      await check(reader, before);
      await valueOf(log.cut(CUTS));
      for (const each of [log, reader, await folder.open({ readOnly: true })]) {
        expect(await gather(each.check())).toEqual([]);
        await check(each, before);
      }
      const fresh = await folder.open();
      const left = await eventsOf(fresh);
      // Whole appends go, of at most three events.
      expect(left.length).toBeLessThan(keptOf(before).length + 6);
      const later = await fill(fresh, 3);
      await check(log, later);
      expect(await gather(fresh.check())).toEqual([]);
    }, format));

  test('is read by who began before, or told to begin anew', () =>
    withLogFolder(async (folder) => {
      const log = await folder.open({ segmentBytesMax: 3000 });
      const before = await fill(log, 30);
      const reader = await folder.open({ readOnly: true });
      const found: string[] = [];
      const reading = async (): Promise<string> => {
        for await (const { items } of reader.read({ from: 0n })) {
          if (found.length === 0) await valueOf(log.cut(CUTS));
          for (const item of items)
            found.push(item._tag === 'event' ? lineOf(item.event) : 'damage');
        }
        return 'all';
      };
      const end = await reading().catch((thrown: unknown) =>
        isLedgerError(thrown) ? thrown.code : thrown,
      );
      const all = before.map(lineOf);
      expect(['all', 'LOG_REPLACED']).toContain(end);
      expect(found).toEqual(end === 'all' ? all : all.slice(0, found.length));
    }, format));
});

test('goes again and again: files of which nothing is left go, and who has read all along reads on', () =>
  withLogFolder(async (folder) => {
    const log = await folder.open();
    const reader = await folder.open({ readOnly: true });
    const other = await folder.open();
    let told = 0;
    for (let round = 0; round < 50; round += 1) {
      for (const stream of STREAMS) {
        // One stream stands still from here on.
        if (stream === 'c' && round > 2) continue;
        const writer = round % 2 === 0 ? log : other;
        const expectedRevision = await valueOf(writer.streamRevision(stream));
        await valueOf(writer.append({ stream, expectedRevision, events: makeEvents(2) }));
      }
      const revision = await valueOf(log.streamRevision('a'));
      await valueOf(log.cut(new Map(['a', 'b'].map((stream) => [stream, revision - 3]))));
      const all = await eventsOf(await folder.open());
      for (let attempt = 0; attempt < 3; attempt += 1)
        try {
          // What it has open it may go on to read.
          const lines = (await eventsOf(reader)).map(lineOf);
          expect(lines).toEqual(expect.arrayContaining(all.map(lineOf)));
          break;
        } catch (thrown) {
          if (!isLedgerError(thrown) || thrown.code !== 'LOG_REPLACED') throw thrown;
          told += 1;
        }
    }
    // Each time it is told at most once.
    expect(told).toBeLessThanOrEqual(50);
    expect((await folder.segmentPaths()).length).toBeLessThan(8);
    for (const each of [log, other, reader, await folder.open()]) {
      expect(await gather(each.check())).toEqual([]);
      expect(await valueOf(each.streamRevision('c'))).toBe(5);
      expect(await valueOf(each.streamRevision('a'))).toBe(99);
    }
  }));

test('killed at any instant, a log has all that was to stay, and goes on', async () => {
  const files = new LossyFiles([FOLDER]);
  const open = (disk: LossyFiles) =>
    valueOf(openEventLog({ folder: FOLDER, files: disk, segmentBytesMax: 2000 }));
  const log = await open(files);
  const before = await fill(log, 12);
  const other = await open(files);
  const first = files.operations.length;
  const acknowledged: { readonly at: number; readonly revision: number }[] = [];
  const appending = async (): Promise<void> => {
    for (let i = 0; i < 6; i += 1) {
      const expectedRevision = await valueOf(other.streamRevision('c'));
      const events = makeEvents(1);
      const { revision } = await valueOf(other.append({ stream: 'c', expectedRevision, events }));
      acknowledged.push({ at: files.operations.length, revision });
    }
  };
  const cutting = async (): Promise<void> => {
    // By the second time, files are left in which nothing is.
    for (const revision of [5, 8])
      await valueOf(log.cut(new Map([...CUTS].map(([stream]) => [stream, revision]))));
  };
  await Promise.all([cutting(), appending()]);
  const stays = before.filter(({ stream, revision }) => stream === 'c' || revision >= 8);
  for (let at = first; at <= files.operations.length; at += 1)
    for (const kept of ['all', 'none', { seed: at }] as const) {
      const disk = files.afterCrash(at, kept);
      const after = await open(disk);
      const lines = new Set((await eventsOf(after)).map(lineOf));
      for (const event of stays) expect(lines).toContain(lineOf(event));
      const told = acknowledged.filter((of) => of.at <= at).at(-1)?.revision ?? 0;
      const revision = await valueOf(after.streamRevision('c'));
      expect(revision).toBeGreaterThanOrEqual(told);
      const request = { stream: 'c', expectedRevision: revision, events: makeEvents(1) };
      expect((await valueOf(after.append(request))).revision).toBe(revision + 1);
      await valueOf(after.cut(new Map([['a', 8]])));
      expect(await gather(after.check())).toEqual([]);
    }
});

test.each([
  { copies: [0], damages: 1, isRead: true },
  { copies: [1], damages: 1, isRead: true },
  { copies: [0, 1], damages: 3, isRead: false },
])('a table of what is left of which copies $copies are damaged is told of', (given) =>
  withLogFolder(async (folder) => {
    const log = await folder.open({ segmentBytesMax: 3000 });
    const before = await fill(log, 30);
    await valueOf(log.cut(CUTS));
    const left = await eventsOf(await folder.open());
    const bytes = await folder.bytes();
    // Behind the header the first copy begins with its length.
    const tableBytes = new DataView(bytes.buffer).getUint32(216, true);
    for (const copy of given.copies) bytes[216 + copy * tableBytes + 20]! ^= 1;
    await folder.write(bytes);
    const spoiled = await folder.open({ readOnly: true });
    const findings = await gather(spoiled.check());
    expect(findings.length).toBeGreaterThanOrEqual(given.damages);
    expect(findings.every(({ kind }) => kind === 'log-damaged')).toBe(true);
    const lines = (await itemsOf(spoiled)).map(lineOfItem);
    const all = left.map((event) => lineOfItem({ _tag: 'event', event }));
    expect(lines.join('\n') === all.join('\n')).toBe(given.isRead);
    const [newest] = before.toReversed();
    expect(lines).toContain(lineOfItem({ _tag: 'event', event: newest! }));
  }),
);
