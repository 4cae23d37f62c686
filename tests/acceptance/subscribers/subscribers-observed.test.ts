// Subscriptions of the library: as an Observable and as an iteration, how far the reader runs ahead of
// who works slowly, how they end, and beside a recorder in the same process.

import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { concatMap, from, lastValueFrom, take, takeWhile, toArray } from 'rxjs';
import type { EventLog, Position } from '../../../domain/ports/event-log.ts';
import { openLedger, type EventRow } from '../../../index.ts';
import { rows, subscribe } from '../../../projections/subscriptions/subscribe.ts';
import { type RowMessage } from '../../../projections/subscriptions/messages.ts';
import { LedgerCommands, type JsonRow } from '../../support/command-line.ts';
import {
  followed,
  logThrough,
  makeEventfulLedger,
  seenOf,
} from '../../support/ledgers/followed-ledgers.ts';
import type { HandMadeLedger } from '../../support/hand-made-captures.ts';
import { imageSeries } from '../../support/images.ts';
import { recordFiles, writeImages } from '../../support/ledgers/recorded-images.ts';
import { withTemporaryFolder } from '../../support/disks/temporary-folder.ts';

const LONG_MS = 300_000;

const isReplayed = (message: RowMessage): boolean => message._tag !== 'caughtUp';
const rowsIn = (messages: readonly RowMessage[]): EventRow[] =>
  messages.flatMap((message) => (message._tag === 'row' ? [message.row] : []));

/** Lets everything that is ready run. */
const turn = (): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(resolve);
  });

/** A log that gives an item at a time, and how many it was asked for. */
function countedLog(hand: HandMadeLedger): { readonly log: EventLog; given: Position[] } {
  const given: Position[] = [];
  const log = logThrough(hand.log, async function* singly(signals) {
    for await (const signal of signals) {
      if (signal._tag !== 'items') yield signal;
      else
        for (const item of signal.items) {
          const { position } = item._tag === 'event' ? item.event : item.damage;
          given.push(position);
          yield { _tag: 'items', items: [item], next: position + 1n };
        }
    }
  });
  return { log, given };
}

describe('an Observable of rows', () => {
  test('is what the iteration gives, and ends when its signal aborts', async () => {
    const hand = await makeEventfulLedger();
    const ledger = followed(hand);
    const expected = await seenOf(ledger, { pages: true });
    const abort = new AbortController();
    const messages: RowMessage[] = [];
    await new Promise<void>((resolve, reject) => {
      subscribe(ledger, { pages: true, signal: abort.signal }).subscribe({
        next: (message) => {
          messages.push(message);
          if (message._tag === 'caughtUp') abort.abort();
        },
        complete: resolve,
        error: reject,
      });
    });
    expect(rowsIn(messages)).toEqual(expected);
    expect(messages.at(-1)).toEqual({ _tag: 'caughtUp', position: ledger.state.next });
    expect(hand.store.listenerCount).toBe(0);
  });

  test('is cold: each who subscribes begins at its beginning', async () => {
    const ledger = followed(await makeEventfulLedger());
    const observable = subscribe(ledger, { type: 'CaptureCommitted' }).pipe(takeWhile(isReplayed));
    const [first, second] = await Promise.all([
      lastValueFrom(observable.pipe(toArray())),
      lastValueFrom(observable.pipe(toArray())),
    ]);
    expect(first.length).toBeGreaterThan(8);
    expect(second).toEqual(first);
  });

  test('waits for the promise of handle before it reads on, however slow that is', async () => {
    const hand = await makeEventfulLedger();
    const { log, given } = countedLog(hand);
    const ledger = followed(hand, undefined, log);
    let handling = 0;
    const ahead: number[] = [];
    const handled: RowMessage[] = [];
    const handle = async (message: RowMessage): Promise<void> => {
      handling += 1;
      for (let i = 0; i < 3; i += 1) await turn();
      if (message._tag === 'row')
        ahead.push(given.filter((position) => position > message.row.position).length);
      handled.push(message);
      handling -= 1;
      expect(handling).toBe(0);
    };
    const observable = subscribe(ledger, { pages: true, handle }).pipe(takeWhile(isReplayed));
    const emitted = await lastValueFrom(observable.pipe(toArray()));
    expect(emitted.length).toBeGreaterThan(100);
    expect(handled.slice(0, emitted.length)).toEqual(emitted);
    expect(new Set(ahead)).toEqual(new Set([0]));
  });

  test('without handle runs ahead of an operator that queues', async () => {
    const hand = await makeEventfulLedger();
    const { log, given } = countedLog(hand);
    const slowly = subscribe(followed(hand, undefined, log), {}).pipe(
      concatMap((message) => from(turn().then(() => ({ message, ahead: given.length })))),
      take(1),
    );
    expect((await lastValueFrom(slowly)).ahead).toBeGreaterThan(1);
  });

  test('ends with what handle fails with, and lets go of the log', async () => {
    const hand = await makeEventfulLedger();
    const failure = new TypeError('the subscriber cannot take it');
    let seen = 0;
    const handle = (): void => {
      seen += 1;
      if (seen === 7) throw failure;
    };
    const observable = subscribe(followed(hand), { handle });
    await expect(lastValueFrom(observable)).rejects.toBe(failure);
    await turn();
    expect([seen, hand.store.listenerCount]).toEqual([7, 0]);
  });

  test('lets go of the log when nobody listens any more, also while it waits', async () => {
    const hand = await makeEventfulLedger();
    const messages: RowMessage[] = [];
    const subscription = subscribe(followed(hand), { from: 'latest' }).subscribe((message) => {
      messages.push(message);
    });
    while (messages.length === 0) await turn();
    await turn();
    expect(hand.store.listenerCount).toBe(1);
    subscription.unsubscribe();
    await turn();
    expect(hand.store.listenerCount).toBe(0);
    await hand.record({ vm: 'new', pages: [1] });
    await turn();
    expect(messages.map(({ _tag }) => _tag)).toEqual(['caughtUp']);
  });

  test('ends with what ended the reading', async () => {
    const hand = await makeEventfulLedger();
    const ledger = followed(hand);
    const closing = subscribe(ledger, {
      handle: (message) => (message._tag === 'caughtUp' ? hand.log.close() : undefined),
    });
    await expect(lastValueFrom(closing)).rejects.toMatchObject({ code: 'LEDGER_CLOSED' });
  });
});

test('an iteration reads the next chunk when all rows of the one before were taken', async () => {
  const hand = await makeEventfulLedger();
  const { log, given } = countedLog(hand);
  for await (const message of rows(followed(hand, undefined, log), { pages: true })) {
    for (let i = 0; i < 3; i += 1) await turn();
    if (message._tag !== 'row') break;
    expect(given.at(-1)).toBe(message.row.position);
  }
});

/** A row as the command line prints it. */
const printed = (row: EventRow): JsonRow => {
  const { position, timeMs, facts, ...rest } = row;
  const time = new Date(timeMs).toISOString();
  return JSON.parse(
    JSON.stringify({ ...rest, position: String(position), time, ...facts }),
  ) as JsonRow;
};

test(
  "a subscriber, a recorder and others' commits go together in one process",
  async () => {
    await withTemporaryFolder(async (folder) => {
      const url = join(folder, 'ledger');
      const commands = new LedgerCommands(url);
      const series = { pages: 300, captures: 3, changedPages: 90 };
      const files = ['here', 'there', 'away'].map((name, seed) =>
        writeImages({ folder, name, images: imageSeries({ ...series, seed }) }),
      );
      const ledger = await openLedger({ url, mode: 'create', threads: 0 });
      const abort = new AbortController();
      const { signal } = abort;
      const seen: EventRow[] = [];
      const following = [{ pages: true }, { type: 'CaptureCommitted' }].map((request, i) =>
        lastValueFrom(
          subscribe(ledger, {
            ...request,
            signal,
            handle: (message) => {
              if (message._tag === 'row' && i === 0) seen.push(message.row);
            },
          }).pipe(toArray()),
        ),
      );
      const others = ['there', 'away'].map((vm, i) =>
        commands.run(['record', 'image', '--vm', vm, ...files[i + 1]!]),
      );
      await recordFiles(ledger, { vm: 'here', files: files[0]! });
      for (const { exitCode, stderr } of await Promise.all(others))
        expect([exitCode, stderr]).toEqual([0, '']);
      const all = await seenOf(ledger, { pages: true });
      while (seen.at(-1)?.place !== all.at(-1)!.place) await turn();
      abort.abort();
      const [, commits] = await Promise.all(following);
      await ledger.close();
      expect(seen).toEqual(all);
      expect(rowsIn(commits!)).toEqual(all.filter(({ type }) => type === 'CaptureCommitted'));
      expect(seen.map(printed)).toEqual(await commands.json('log', '--pages'));
      const verified = await commands.run(['verify']);
      expect([verified.exitCode, verified.stderr]).toEqual([0, '']);
    });
  },
  LONG_MS,
);
