// A subscriber that stops anywhere and goes on from the place of the last row it has (docs/events.md,
// "Following a ledger") sees exactly the rest: on a log in memory whose captures are small and come all
// at once, and on a recorded ledger.

import { join } from 'node:path';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { vmStream } from '../../../domain/events/streams.ts';
import { openLedger, type EventRow, type Ledger } from '../../../index.ts';
import { rows } from '../../../projections/subscriptions/subscribe.ts';
import {
  type FollowedLedger,
  type RowsRequest,
} from '../../../projections/subscriptions/messages.ts';
import {
  copyEvents,
  followed,
  followedLog,
  logThrough,
  makeEventfulLedger,
  messagesOf,
  seenOf,
} from '../../support/ledgers/followed-ledgers.ts';
import { controlEvents, HandMadeLedger, planCapture } from '../../support/hand-made-captures.ts';
import { valueOf } from '../../support/outcomes.ts';
import { withServerLogs } from '../../support/logs/server-logs.ts';
import { makeSmallLedger } from '../../support/ledgers/small-ledger.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const LONG_MS = 300_000;
const FILTERS: readonly RowsRequest[] = [
  {},
  { pages: true },
  { type: 'PagesWritten' },
  { type: 'SharingBroken' },
  { type: 'SharingBroken', pages: true },
  { type: 'PageStored', pages: true },
  { type: 'PackWritten' },
  { type: 'CaptureCommitted', pages: true },
];
const ALL_TYPES = [
  'LedgerCreated',
  'GroupCreated',
  'VmRegistered',
  'PackWritten',
  'PagesWritten',
  'DeviceStateWritten',
  'CaptureCommitted',
  'CheckpointTaken',
  'PageStored',
  'PageMerged',
  'PatternPageShared',
  'SharingBroken',
];

/** Rows whose place does not give exactly the rows behind them. */
async function wrongPlaces(
  ledger: FollowedLedger,
  request: RowsRequest,
  all: readonly EventRow[],
): Promise<string[]> {
  const lines = all.map((row) => `${row.place} ${row.type}`);
  const wrong: string[] = [];
  for (const [i, { place }] of all.entries()) {
    const rest = await seenOf(ledger, { ...request, from: place });
    const found = rest.map((row) => `${row.place} ${row.type}`);
    if (found.join('\n') !== lines.slice(i + 1).join('\n')) wrong.push(lines[i]!);
  }
  return wrong;
}

describe('every row of a log in memory', () => {
  let hand: HandMadeLedger;
  let ledger: FollowedLedger;

  beforeAll(async () => {
    hand = await makeEventfulLedger();
    ledger = followed(hand);
  });

  test.each(FILTERS)(
    'is a place to go on from (%j)',
    async (request) => {
      const all = await seenOf(ledger, request);
      expect(all.length).toBeGreaterThan(3);
      expect(new Set(all.map(({ place }) => place)).size).toBe(all.length);
      expect(await wrongPlaces(ledger, request, all)).toEqual([]);
    },
    LONG_MS,
  );

  test('comes in an order that does not depend on what was asked for', async () => {
    const all = await seenOf(ledger, { pages: true });
    expect(new Set(all.map(({ type }) => type))).toEqual(
      new Set([...ALL_TYPES, 'MemoryMapChanged', 'VmRetired']),
    );
    for (const request of FILTERS) {
      const places = new Set((await seenOf(ledger, request)).map(({ place }) => place));
      const expected = all.filter(({ place }) => places.has(place)).map(({ place }) => place);
      expect([...places]).toEqual(expected);
    }
  });

  test(
    'may be resumed with another question: the rest is of the same order',
    async () => {
      const all = await seenOf(ledger, { pages: true });
      for (const request of FILTERS) {
        const answers = (await seenOf(ledger, request)).map(({ place }) => place);
        for (let i = 0; i < all.length; i += 7) {
          const rest = await seenOf(ledger, { ...request, from: all[i]!.place });
          const before = new Set(all.slice(0, i + 1).map(({ place }) => place));
          expect(rest.map(({ place }) => place)).toEqual(
            answers.filter((place) => !before.has(place)),
          );
        }
      }
    },
    LONG_MS,
  );

  test('is before the rows of its position and item, or of its position alone', async () => {
    const all = await seenOf(ledger, { pages: true });
    const row = all.findLast(({ type }) => type === 'SharingBroken')!;
    const { position, item } = row;
    const afterItem = await seenOf(ledger, { pages: true, from: { position, item } });
    expect(afterItem).toEqual(all.slice(all.indexOf(row) + 1));
    const later = all.filter((other) => other.position > position);
    expect(await seenOf(ledger, { pages: true, from: { position } })).toEqual(later);
    expect(await seenOf(ledger, { pages: true, from: String(position) })).toEqual(later);
  });

  test('of one VM goes on from any row of any VM', async () => {
    const all = await seenOf(ledger, {});
    for (const [i, { place }] of all.entries())
      expect(await seenOf(ledger, { vm: 'blue', from: place })).toEqual(
        all.slice(i + 1).filter(({ vm }) => vm === 'blue'),
      );
  });

  test('gives a subscriber of latest only what comes', async () => {
    expect(await messagesOf(ledger, { from: 'latest' })).toEqual([
      { _tag: 'caughtUp', position: ledger.state.next },
    ]);
  });

  test.each(['', 'soon', '12/', '12/x', '-3', '1/2/3', '12/p', '999999', '12/b'])(
    'is none that is written %j',
    async (from) => {
      await expect(seenOf(ledger, { from })).rejects.toMatchObject({
        refusal: { _tag: 'BadPlace' },
      });
    },
  );
});

test(
  'every row of a recorded ledger is a place to go on from, with its page events',
  async () => {
    const folder: TemporaryFolder = await makeTemporaryFolder();
    const url = join(folder.path, 'ledger');
    await makeSmallLedger({ url, scratch: folder.path });
    const ledger: Ledger = await openLedger({ url, mode: 'read', threads: 0 });
    try {
      const all = await seenOf(ledger, { pages: true });
      expect(new Set(all.map(({ type }) => type))).toEqual(new Set(ALL_TYPES));
      expect(await wrongPlaces(ledger, { pages: true }, all)).toEqual([]);
      const events = await seenOf(ledger);
      expect(await wrongPlaces(ledger, {}, events)).toEqual([]);
    } finally {
      await ledger.close();
      await folder.remove();
    }
  },
  LONG_MS,
);

test(
  'places are good on a log on a server too, whose positions are others',
  async () => {
    const hand = await makeEventfulLedger();
    const expected = await seenOf(followed(hand), { pages: true });
    await withServerLogs(async (logs) => {
      const log = await logs.open();
      await copyEvents(hand.log, log);
      const ledger = followedLog(log);
      const all = await seenOf(ledger, { pages: true });
      const lineOf = ({ type, vm, capture, item, facts }: EventRow): string =>
        JSON.stringify([type, vm, capture, item, facts]);
      expect(all.map(lineOf)).toEqual(expected.map(lineOf));
      expect(all.map(({ position }) => position)).not.toEqual(
        expected.map(({ position }) => position),
      );
      for (let i = 0; i < all.length; i += 11) {
        const rest = await seenOf(ledger, { pages: true, from: all[i]!.place });
        expect(rest).toEqual(all.slice(i + 1));
      }
      const live = rows(ledger, { from: 'latest' });
      expect((await live.next()).value).toMatchObject({ _tag: 'caughtUp' });
      const events = controlEvents({ type: 'VmRetired', data: { vm: 'blue' } });
      const stream = vmStream('blue');
      const expectedRevision = await valueOf(log.streamRevision(stream));
      await valueOf(log.append({ stream, expectedRevision, events }));
      expect((await live.next()).value).toMatchObject({
        row: { type: 'VmRetired', vm: 'blue' },
      });
      await live.return(undefined);
    });
  },
  LONG_MS,
);

describe('a subscriber', () => {
  test('resumed while captures are under way sees them whole when they are committed', async () => {
    const hand = new HandMadeLedger();
    await hand.record({ vm: 'a', pages: [1, 2, 3] });
    const open = await planCapture(hand.state, { vm: 'b', pages: [4, 5, 1], rowsMax: 1 });
    await hand.append(vmStream('b'), open.batches.slice(0, 2));
    await hand.record({ vm: 'a', pages: [1, 2, 4] });
    const ledger = followed(hand);
    const last = (await seenOf(ledger)).at(-1)!;
    await hand.append(vmStream('b'), open.batches.slice(2));
    const seen: string[] = [];
    for await (const message of rows(ledger, { pages: true, from: last.place })) {
      if (message._tag === 'caughtUp') await hand.commit(open);
      if (message._tag !== 'row') continue;
      seen.push(`${message.row.vm} ${message.row.type} ${message.row.item}`);
      if (message.row.type === 'CaptureCommitted') break;
    }
    expect(seen).toEqual([
      'b VmRegistered null',
      'b PackWritten null',
      'b PagesWritten 0',
      'b PageMerged 0',
      'b PagesWritten 2',
      'b PageStored 2',
      'b PagesWritten 4',
      'b PageMerged 4',
      'b CaptureCommitted null',
    ]);
  });

  test('is told in band that the log was lost and is there again, and misses nothing', async () => {
    const hand = await makeEventfulLedger(2);
    const all = await seenOf(followed(hand), { pages: true });
    const log = logThrough(hand.log, async function* reconnecting(signals) {
      for await (const signal of signals) {
        yield signal;
        if (signal._tag === 'items') yield { _tag: 'reconnected', next: signal.next };
      }
    });
    const messages = await messagesOf(followed(hand, undefined, log), { pages: true });
    expect(messages.map(({ _tag }) => _tag)).toEqual([
      ...all.map(() => 'row'),
      'reconnected',
      'caughtUp',
    ]);
  });

  test('is told where events cannot be read, before what is left of them', async () => {
    const hand = new HandMadeLedger();
    await hand.record({ vm: 'a', pages: [1, 2, 3], rowsMax: 2 });
    const lost = hand.store.events.findIndex(({ type }) => type === 'PagesWritten');
    hand.store.events[lost]!.data.fill(0xff);
    const messages = await messagesOf(followed(hand), { pages: true });
    expect(
      messages.map((message) => (message._tag === 'row' ? message.row.type : message._tag)),
    ).toEqual([
      'VmRegistered',
      'damaged',
      'PackWritten',
      'PagesWritten',
      'PageStored',
      'CaptureCommitted',
      'caughtUp',
    ]);
    const commit = messages.findLast((message) => message._tag === 'row')!;
    expect(messages[1]).toMatchObject({ position: commit.row.position });
    expect(await messagesOf(followed(hand), { from: commit.row.place })).toHaveLength(1);
  });

  test('lets go of the log each time that it leaves early', async () => {
    const hand = await makeEventfulLedger(3);
    const ledger = followed(hand);
    for (let i = 0; i < 1000; i += 1)
      for await (const message of rows(ledger, { from: 'latest' }))
        if (message._tag === 'caughtUp') break;
    for (let i = 0; i < 200; i += 1)
      for await (const message of rows(ledger, { pages: true })) if (message._tag === 'row') break;
    expect(hand.store.listenerCount).toBe(0);
  });
});
