// Subscriptions to a log on a server, through servers that go away, cut them off, or find their
// consumer too slow: nothing is lost or doubled, and what happened is told in its place.

import { status } from '@grpc/grpc-js';
import { describe, expect, jest, test } from '@jest/globals';
import type { EventStoreLog } from '../../../../adapters/stores/event-log-eventstoredb/event-log-eventstoredb.ts';
import { NO_STREAM, type LogSignal, type StoredEvent } from '../../../../domain/ports/event-log.ts';
import { eventsOf, lineOf, makeEvents } from '../../../support/logs/log-events.ts';
import { failureOf, gather, valueOf } from '../../../support/outcomes.ts';
import { withServerLogs } from '../../../support/logs/server-logs.ts';

// A server on a busy machine takes its time; what hangs does not end at all.
jest.setTimeout(300_000);

const fill = (log: EventStoreLog, count: number, stream = 'vm-a') =>
  valueOf(log.append({ stream, expectedRevision: NO_STREAM, events: makeEvents(count) }));

const eventsIn = (signals: readonly LogSignal[]): StoredEvent[] =>
  signals.flatMap((signal) =>
    signal._tag === 'items'
      ? signal.items.flatMap((item) => (item._tag === 'event' ? [item.event] : []))
      : [],
  );

/** Signals until so many events came and the end was reached; `after` runs behind each of them. */
async function follow(
  log: EventStoreLog,
  count: number,
  after: (signals: readonly LogSignal[]) => Promise<void> = () => Promise.resolve(),
): Promise<LogSignal[]> {
  const abort = new AbortController();
  const signals: LogSignal[] = [];
  for await (const signal of log.subscribe({ from: 0n, signal: abort.signal })) {
    signals.push(signal);
    await after(signals);
    const isCaughtUp = signals.some(({ _tag }) => _tag === 'caughtUp');
    if (isCaughtUp && eventsIn(signals).length >= count) abort.abort();
  }
  return signals;
}

async function expectWhole(log: EventStoreLog, signals: readonly LogSignal[]): Promise<void> {
  expect(eventsIn(signals).map(lineOf)).toEqual((await eventsOf(log)).map(lineOf));
  expect(signals.filter(({ _tag }) => _tag === 'caughtUp')).toHaveLength(1);
  // Going on from the place that came with a signal gives exactly the rest.
  const total = eventsIn(signals).length;
  for (const at of [0, 1, signals.length >> 1, signals.length - 1]) {
    const count = eventsIn(signals.slice(0, at + 1)).length;
    expect(await eventsOf(log, signals[at]!.next)).toHaveLength(total - count);
  }
}

describe('a subscription', () => {
  test('goes on where it was through servers that are killed, and says so in its place', async () => {
    await withServerLogs(async (logs) => {
      const log = await logs.open();
      await fill(log, 40);
      const signals = await follow(log, 40 + 12, async (got) => {
        const last = got.at(-1)!;
        if (last._tag !== 'caughtUp' && last._tag !== 'reconnected') return;
        if (got.filter(({ _tag }) => _tag === 'reconnected').length === 3) return;
        await logs.double.stop();
        await logs.double.start();
        const expectedRevision = await valueOf(log.streamRevision('vm-b'));
        await valueOf(log.append({ stream: 'vm-b', expectedRevision, events: makeEvents(4) }));
      });
      await expectWhole(log, signals);
      expect(signals.filter(({ _tag }) => _tag === 'reconnected')).toHaveLength(3);
      expect(new Set(logs.notices.map(({ kind }) => kind))).toEqual(
        new Set(['reconnecting', 'reconnected']),
      );
    });
  });

  test.each([
    ['cancelled', status.CANCELLED],
    ['made unavailable', status.UNAVAILABLE],
    ['broken off', status.INTERNAL],
  ])('that is %s after any number of events loses and doubles none', async (_, code) => {
    await withServerLogs(async (logs) => {
      const log = await logs.open();
      await fill(log, 100);
      const message = 'Received RST_STREAM with code 2 (Internal server error)';
      for (const afterEvents of [1, 2, 3, 5, 8, 13, 21])
        logs.double.faults.cut({ flow: 'subscribe', status: code, message, afterEvents });
      const signals = await follow(log, 100);
      expect(signals.some(({ _tag }) => _tag === 'reconnected')).toBe(true);
      await expectWhole(log, signals);
    });
  });

  test('that the server ends because its consumer was too slow goes on, and nobody is alarmed', async () => {
    await withServerLogs(async (logs) => {
      const log = await logs.open();
      await fill(log, 60);
      for (const afterEvents of [1, 10, 30]) logs.double.faults.consumerTooSlow({ afterEvents });
      const signals = await follow(log, 60);
      await expectWhole(log, signals);
      expect(signals.some(({ _tag }) => _tag === 'reconnected')).toBe(true);
      expect(logs.notices).toEqual([]);
    });
  });

  test.each([
    ['cancelled', status.CANCELLED],
    ['made unavailable', status.UNAVAILABLE],
    ['ended as too slow', status.ABORTED],
    ['broken off', status.INTERNAL],
  ])('that is %s twice, with nothing in between, comes back', async (_, code) => {
    await withServerLogs(async (logs) => {
      const { faults } = logs.double;
      const message =
        code === status.ABORTED ? 'Consumer too slow' : 'Received RST_STREAM with code 2';
      const log = await logs.open();
      await fill(log, 3);
      const drop = (): void => faults.cut({ flow: 'subscribe', status: code, message });
      const signals = await follow(log, 3 + 4, async (got) => {
        const again = got.filter(({ _tag }) => _tag === 'reconnected').length;
        const last = got.at(-1)!;
        if (last._tag === 'caughtUp') drop();
        // It stands again, and before anything came it is dropped once more, and not let in at first.
        if (last._tag === 'reconnected' && again === 1) {
          faults.fail({ method: 'subscribe', status: code, message, count: 2 });
          drop();
        }
        if (last._tag !== 'reconnected' || again !== 2) return;
        await valueOf(log.append({ stream: 'vm-a', expectedRevision: 2, events: makeEvents(4) }));
      });
      await expectWhole(log, signals);
      expect(signals.filter(({ _tag }) => _tag === 'reconnected')).toHaveLength(2);
    });
  });

  test('does not give up while the server is away, and ends promptly when it is aborted', async () => {
    await withServerLogs(async (logs) => {
      const log = await logs.open({ limits: { giveUpAfterMs: 1 } });
      await fill(log, 1);
      const abort = new AbortController();
      const flow = log.subscribe({ from: 0n, signal: abort.signal })[Symbol.asyncIterator]();
      await flow.next();
      await flow.next();
      await logs.double.stop();
      const next = flow.next();
      // Others give up meanwhile.
      expect((await failureOf(log.head())).code).toBe('LOG_UNREACHABLE');
      await logs.double.start();
      expect((await next).value).toMatchObject({ _tag: 'reconnected' });
      await logs.double.stop();
      const last = flow.next();
      expect((await failureOf(log.head())).code).toBe('LOG_UNREACHABLE');
      abort.abort();
      expect((await last).done).toBe(true);
      const none = log.subscribe({ from: 0n, signal: abort.signal });
      expect(await gather(none)).toEqual([]);
    });
  });
});
