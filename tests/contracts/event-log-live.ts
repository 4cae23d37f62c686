// The part of the event logs' contract (event-log.ts) that is about following a log, about slow
// consumers, and about closing.

import { expect, test } from '@jest/globals';
import {
  NO_STREAM,
  type EventLog,
  type LogSignal,
  type StoredEvent,
} from '../../domain/ports/event-log.ts';
import { eventsOf, lineOf, makeEvent, makeEvents } from '../support/logs/log-events.ts';
import { failureOf, gather, valueOf } from '../support/outcomes.ts';
import { append, fill, type Current } from './event-log-world.ts';

/** Signals until `enough` says so; then the subscription is aborted and must end. */
async function signalsUntil(
  log: EventLog,
  from: bigint,
  enough: (signals: readonly LogSignal[]) => boolean,
): Promise<LogSignal[]> {
  const abort = new AbortController();
  const signals: LogSignal[] = [];
  for await (const signal of log.subscribe({ from, signal: abort.signal })) {
    signals.push(signal);
    if (enough(signals)) abort.abort();
  }
  return signals;
}

const eventsIn = (signals: readonly LogSignal[]): StoredEvent[] =>
  signals.flatMap((signal) =>
    signal._tag === 'items'
      ? signal.items.flatMap((item) => (item._tag === 'event' ? [item.event] : []))
      : [],
  );

const isCaughtUp = (signals: readonly LogSignal[]): boolean =>
  signals.some(({ _tag }) => _tag === 'caughtUp');

export function contractOfSubscribing(current: Current): void {
  test('a subscription replays, says that it caught up behind all events, and ends on abort', async () => {
    const { log } = current();
    const lines = (await fill(log, 10)).map(lineOf);
    const signals = await signalsUntil(log, 0n, isCaughtUp);
    expect(eventsIn(signals).map(lineOf)).toEqual(lines);
    expect(signals.at(-1)).toEqual({ _tag: 'caughtUp', next: await valueOf(log.head()) });
  });

  test('replay and live under two writers lose nothing and double nothing', async () => {
    const { log, another } = current();
    const other = await another();
    await append(log, 'vm-a', NO_STREAM, 5);
    const writing = Promise.all([
      (async () => {
        for (let i = 0; i < 25; i += 1) await append(log, 'vm-a', 4 + i);
      })(),
      (async () => {
        for (let i = 0; i < 25; i += 1) await append(other, 'vm-b', 2 * i - 1, 2);
      })(),
    ]);
    const reader = await another();
    const signals = await signalsUntil(
      reader,
      0n,
      (got) => isCaughtUp(got) && eventsIn(got).length >= 80,
    );
    await writing;
    expect(eventsIn(signals).map(lineOf)).toEqual((await eventsOf(log)).map(lineOf));
    expect(signals.filter(({ _tag }) => _tag === 'caughtUp')).toHaveLength(1);
    // Going on from the place that came with any signal gives exactly the rest.
    let count = 0;
    for (const signal of signals) {
      count += eventsIn([signal]).length;
      expect(await eventsOf(log, signal.next)).toHaveLength(80 - count);
    }
  });

  test('a subscription from a later place does not replay what was before', async () => {
    const { log } = current();
    const events = await fill(log, 6);
    const from = events[4]!.position;
    const signals = await signalsUntil(log, from, isCaughtUp);
    expect(eventsIn(signals).map(lineOf)).toEqual(events.slice(4).map(lineOf));
  });

  test('a subscription to an empty log catches up at once and then gives what comes', async () => {
    const { log } = current();
    const waiting = signalsUntil(log, 0n, (got) => eventsIn(got).length > 0);
    await append(log, 'vm-a', NO_STREAM, 1);
    expect(eventsIn(await waiting)).toHaveLength(1);
  });

  test('a subscription ends promptly when it is aborted while it waits, or before it began', async () => {
    const { log } = current();
    const abort = new AbortController();
    const waiting = gather(log.subscribe({ from: 0n, signal: abort.signal }));
    setImmediate(() => {
      abort.abort();
    });
    expect((await waiting).every(({ _tag }) => _tag === 'caughtUp')).toBe(true);
    expect(await gather(log.subscribe({ from: 0n, signal: abort.signal }))).toEqual([]);
  });
}

export function contractOfTakingTurns(current: Current): void {
  test('a consumer that is slow gets chunks of bounded size and misses nothing', async () => {
    const { log } = current();
    const data = new Uint8Array(128 * 1024);
    const events = Array.from({ length: 64 }, () => makeEvent(data));
    for (let i = 0; i < 64; i += 4) {
      const part = events.slice(i, i + 4);
      await valueOf(log.append({ stream: 'vm-a', expectedRevision: i - 1, events: part }));
    }
    let count = 0;
    for await (const { items } of log.read({ from: 0n })) {
      await new Promise(setImmediate);
      expect(items.length).toBeLessThanOrEqual(256);
      count += items.length;
    }
    expect(count).toBe(64);
  });

  test('appends to one stream that are not awaited are taken in order', async () => {
    const { log } = current();
    const appended = await Promise.all(
      Array.from({ length: 12 }, (_, i) => append(log, 'vm-a', i - 1)),
    );
    expect(appended.map(({ revision }) => revision)).toEqual(appended.map((_, i) => i));
  });
}

export function contractOfClosing(current: Current): void {
  test('a log that is closed refuses everything, and ends the readings that are under way', async () => {
    const { log, another } = current();
    await fill(log, 6);
    const other = await another();
    const { signal } = new AbortController();
    const subscription = other.subscribe({ from: 0n, signal })[Symbol.asyncIterator]();
    await subscription.next();
    const reading = other.read({ from: 0n })[Symbol.asyncIterator]();
    await other.close();
    await other.close();
    const rest = async (iterator: AsyncIterator<unknown>): Promise<void> => {
      while ((await iterator.next()).done !== true);
    };
    await expect(rest(reading)).rejects.toMatchObject({ code: 'LEDGER_CLOSED' });
    await expect(rest(subscription)).rejects.toMatchObject({ code: 'LEDGER_CLOSED' });
    const request = { stream: 'vm-a', expectedRevision: NO_STREAM, events: makeEvents(1) };
    for (const task of [other.append(request), other.head(), other.streamRevision('vm-0')])
      expect((await failureOf(task)).code).toBe('LEDGER_CLOSED');
    expect((await eventsOf(log)).length).toBeGreaterThan(0);
  });
}
