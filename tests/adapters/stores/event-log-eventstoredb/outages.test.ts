// A server that goes away, comes back, hangs, loses answers, or is not the leader: nothing is lost or
// doubled, the user is told, and nothing ends the process.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { status } from '@grpc/grpc-js';
import { describe, expect, jest, test } from '@jest/globals';
import { Appender } from '../../../../adapters/stores/event-log-eventstoredb/appender.ts';
import {
  Connection,
  LOG_LIMITS,
} from '../../../../adapters/stores/event-log-eventstoredb/connection.ts';
import type { EventStoreLog } from '../../../../adapters/stores/event-log-eventstoredb/event-log-eventstoredb.ts';
import { parseConnectionString } from '../../../../adapters/stores/event-log-eventstoredb/ledger-url.ts';
import { LedgerStreams } from '../../../../adapters/stores/event-log-eventstoredb/streams.ts';
import { NO_STREAM } from '../../../../domain/ports/event-log.ts';
import { startEventStoreDouble } from '../../../support/eventstoredb-double/eventstoredb-double.ts';
import {
  eventsOf,
  lineOf,
  makeEvent,
  makeEvents,
  streamOf,
} from '../../../support/logs/log-events.ts';
import { failureOf, gather, valueOf } from '../../../support/outcomes.ts';
import { LEDGER, ServerLogs, withServerLogs } from '../../../support/logs/server-logs.ts';

// A server on a busy machine takes its time; what hangs does not end at all.
jest.setTimeout(300_000);

const fill = (log: EventStoreLog, count: number, stream = 'vm-a') =>
  valueOf(log.append({ stream, expectedRevision: NO_STREAM, events: makeEvents(count) }));

/** The process prints what it was told; a rejection that nobody handled would have ended it. */
const APPENDER = fileURLToPath(
  new URL('../../../support/logs/server-log-appender.js', import.meta.url),
);

describe('appends', () => {
  test.each([
    ['the connection broke', status.UNAVAILABLE],
    ['the server cancelled', status.CANCELLED],
    ['the server was too late', status.DEADLINE_EXCEEDED],
    ['the server timed out', status.ABORTED],
  ])(
    'whose answer was lost because %s are made again, and are in the log once',
    async (_, code) => {
      await withServerLogs(async (logs) => {
        const log = await logs.open();
        const { faults } = logs.double;
        faults.fail({ method: 'append', status: code, moment: 'after', count: 2 });
        faults.fail({ method: 'append', status: code, moment: 'before', count: 2 });
        const appended = await fill(log, 3);
        const events = await eventsOf(log);
        expect(events).toHaveLength(3);
        expect(appended).toEqual({ position: events[2]!.position, revision: 2 });
        expect(logs.notices.map(({ kind }) => kind)).toEqual(['reconnecting', 'reconnected']);
      });
    },
  );

  test('whose answer was lost are recognised also when another writer came after them', async () => {
    await withServerLogs(async (logs) => {
      const log = await logs.open();
      const other = await logs.open();
      const hold = logs.double.faults.hold('append', 'after');
      const appending = fill(log, 2);
      await hold.reached(1);
      await logs.double.stop();
      hold.release();
      await logs.double.start();
      const next = { stream: 'vm-a', expectedRevision: 1, events: makeEvents(1) };
      await valueOf(other.append(next));
      const events = await eventsOf(other);
      expect(await appending).toEqual({ position: events[1]!.position, revision: 1 });
      expect(events).toHaveLength(3);
    });
  });

  test('that a server calls conflicts are answered as taken where the very events are there', async () => {
    await withServerLogs(async (logs) => {
      const { double } = logs;
      const settings = parseConnectionString(double.url);
      const options = { settings, certificates: {}, limits: LOG_LIMITS, onNotice: () => undefined };
      const connection = new Connection(options);
      const streams = new LedgerStreams(connection, LEDGER);
      const liar = {
        limits: LOG_LIMITS,
        checkOpen: () => undefined,
        call: () => Promise.resolve({ actual: 2 }),
      } as unknown as Connection;
      const request = { stream: 'vm-a', expectedRevision: NO_STREAM, events: makeEvents(2) };
      const taken = await new Appender(connection, streams).append(request);
      await new Appender(connection, streams).append({
        ...request,
        expectedRevision: 1,
        events: makeEvents(1),
      });
      expect(await new Appender(liar, streams).append(request)).toEqual(taken);
      const others = { ...request, events: [request.events[0]!, makeEvent()] };
      await expect(new Appender(liar, streams).append(others)).rejects.toMatchObject({
        code: 'REVISION_CONFLICT',
        facts: { stream: 'vm-a', expected: NO_STREAM, actual: 2 },
      });
      await connection.close();
    });
  });

  test('to one stream are under way one at a time, in the order asked for', async () => {
    await withServerLogs(async (logs) => {
      const log = await logs.open();
      const hold = logs.double.faults.hold('append');
      const appending = [0, 1, 2].map((made) =>
        valueOf(log.append({ stream: 'vm-a', expectedRevision: made - 1, events: makeEvents(1) })),
      );
      await hold.reached(1);
      // Once this is answered, all that was sent before it has arrived.
      await valueOf(log.head());
      expect(logs.double.openCalls('append')).toBe(1);
      hold.release();
      expect((await Promise.all(appending)).map(({ revision }) => revision)).toEqual([0, 1, 2]);
    });
  });

  test('are at most four under way, over all streams, and never on the shared batch call', async () => {
    await withServerLogs(async (logs) => {
      const log = await logs.open();
      const hold = logs.double.faults.hold('append');
      const streams = Array.from({ length: 8 }, (_, i) => `vm-${i}`);
      const appending = streams.flatMap((stream) =>
        [0, 1].map((made) =>
          valueOf(log.append({ stream, expectedRevision: made - 1, events: makeEvents(1) })),
        ),
      );
      await hold.reached(4);
      await valueOf(log.head());
      expect(logs.double.openCalls('append')).toBe(4);
      expect(hold.waiting()).toBe(4);
      hold.release();
      expect((await Promise.all(appending)).map(({ revision }) => revision)).toEqual(
        streams.flatMap(() => [0, 1]),
      );
      expect(logs.double.calls('batchAppend')).toBe(0);
      expect(logs.double.calls('features')).toBe(0);
    });
  });

  test('of a process whose server is killed again and again are all in the log, once', async () => {
    await withServerLogs(async (logs) => {
      const { double } = logs;
      const [streams, appends] = [16, 12];
      const child = spawn(
        process.execPath,
        [APPENDER, double.url, LEDGER, String(streams), String(appends)],
        { stdio: ['ignore', 'pipe', 'pipe'] },
      );
      const told = text(child.stdout);
      const ended = once(child, 'close');
      let errors = '';
      let dots = 0;
      let killing = Promise.resolve();
      child.stderr.setEncoding('utf8').on('data', (piece: string) => {
        errors += piece.replaceAll('.', '');
        const before = dots;
        dots += piece.length;
        if (Math.floor(before / 20) === Math.floor(dots / 20)) return;
        const earlier = killing;
        killing = (async () => {
          await earlier;
          await double.stop();
          await double.start();
        })();
      });
      const [code] = (await ended) as [number];
      await killing;
      expect({ code, errors }).toEqual({ code: 0, errors: '' });
      const expected = Array.from({ length: appends }, (_, i) => i);
      expect(JSON.parse(await told)).toEqual(Array.from({ length: streams }, () => expected));
      for (let i = 0; i < streams; i += 1) {
        const records = double.records.list(`${LEDGER}.vm-${i}`);
        expect(records.map(({ data }) => data[0])).toEqual(expected);
      }
    });
  });
});

describe('readings', () => {
  test('that break off go on where they were', async () => {
    await withServerLogs(async (logs) => {
      const log = await logs.open();
      await fill(log, 300);
      const lines = (await eventsOf(log)).map(lineOf);
      const { faults } = logs.double;
      for (const flow of ['read', 'subscribe'] as const)
        for (const afterEvents of [1, 7, 50, 200])
          faults.cut({ flow, status: status.UNAVAILABLE, afterEvents });
      expect((await eventsOf(log)).map(lineOf)).toEqual(lines);
      expect((await streamOf(log, 'vm-a')).map(lineOf)).toEqual(lines);
    });
  });

  test('and all else are LOG_UNREACHABLE when the server stays away, and say for how long', async () => {
    await withServerLogs(async (logs) => {
      const log = await logs.open({ limits: { giveUpAfterMs: 60 } });
      await fill(log, 1);
      await logs.double.stop();
      const requests = [log.head(), log.streamRevision('vm-a')];
      requests.push(async () => {
        try {
          await streamOf(log, 'vm-a');
        } catch (thrown) {
          return { _tag: 'Left', left: thrown as never };
        }
        return { _tag: 'Right', right: 0n };
      });
      for (const request of requests) {
        const failure = await failureOf(request);
        expect(failure.code).toBe('LOG_UNREACHABLE');
        expect(failure.message).toContain(`esdb://127.0.0.1:${logs.double.port}`);
        expect(failure.message).toContain('what was committed is safe');
        expect(failure.facts['waitedMs']).toBeGreaterThanOrEqual(60);
      }
      expect(logs.notices.map(({ kind }) => kind)).toEqual(['reconnecting']);
      await logs.double.start();
      expect(await eventsOf(log)).toHaveLength(1);
      expect(logs.notices.at(-1)!.kind).toBe('reconnected');
    });
  });

  test('of a server that hangs end too', async () => {
    await withServerLogs(async (logs) => {
      const patient = await logs.open();
      await fill(patient, 1);
      const log = await logs.open({ limits: { giveUpAfterMs: 60, callMs: 20 } });
      for (const method of ['read', 'subscribe', 'append'] as const)
        logs.double.faults.hold(method);
      const append = { stream: 'vm-a', expectedRevision: 0, events: makeEvents(1) };
      for (const request of [log.head(), log.streamRevision('vm-a'), log.append(append)])
        expect((await failureOf(request)).code).toBe('LOG_UNREACHABLE');
      for (const flow of [streamOf(log, 'vm-a'), eventsOf(log)])
        await expect(flow).rejects.toMatchObject({ code: 'LOG_UNREACHABLE' });
      logs.double.faults.clear();
      expect((await eventsOf(patient)).length).toBeGreaterThan(0);
    });
  });
});

describe('a cluster', () => {
  test('whose node is not the leader is left for the leader that it names', async () => {
    await withServerLogs(async (logs) => {
      const leader = new ServerLogs(await startEventStoreDouble({ records: logs.double.records }));
      try {
        const log = await logs.open();
        const { faults } = logs.double;
        const at = { host: '127.0.0.1', port: leader.double.port };
        for (const method of ['append', 'read', 'subscribe'] as const)
          faults.notLeader({ leader: at, method, count: 1000 });
        await fill(log, 3);
        expect(await eventsOf(log)).toHaveLength(3);
        expect(leader.double.calls('append')).toBe(1);
        expect(logs.double.calls('append')).toBe(1);
        expect(logs.double.calls('subscribe')).toBe(0);
      } finally {
        await leader.close();
      }
    });
  });

  test('is found through a name, and through those of its nodes that answer', async () => {
    await withServerLogs(async (logs) => {
      const { port } = logs.double;
      const urls = [
        `esdb+discover://127.0.0.1:${port}/?tls=false`,
        `esdb://127.0.0.1:1,127.0.0.1:${port}/?tls=false&discoveryInterval=1`,
      ];
      for (const [i, url] of urls.entries()) {
        const log = await logs.open({ url, ledger: `ledger-${i}` });
        await fill(log, 2);
        expect(await eventsOf(log)).toHaveLength(2);
      }
      expect(logs.double.calls('gossip')).toBeGreaterThan(0);
    });
  });

  test('of which nobody answers is LOG_UNREACHABLE, and found again when somebody does', async () => {
    await withServerLogs(async (logs) => {
      const query = 'tls=false&discoveryInterval=1&maxDiscoverAttempts=2';
      const url = `esdb+discover://127.0.0.1:${logs.double.port}/?${query}`;
      const log = await logs.open({ url, limits: { giveUpAfterMs: 50 } });
      await fill(log, 1);
      await logs.double.stop();
      const outcomes = await Promise.all(
        [log.head(), log.streamRevision('vm-a'), log.head()].map((task) => failureOf(task)),
      );
      for (const { code } of outcomes) expect(code).toBe('LOG_UNREACHABLE');
      await logs.double.start();
      expect(await eventsOf(log)).toHaveLength(1);
    });
  });
});

describe('closing', () => {
  test('ends what is waiting for a server that is away', async () => {
    await withServerLogs(async (logs) => {
      const log = await logs.open({ limits: { pauseFirstMs: 60_000, pauseMaxMs: 60_000 } });
      await fill(log, 1);
      await logs.double.stop();
      const append = { stream: 'vm-a', expectedRevision: 0, events: makeEvents(1) };
      const waiting = [log.head(), log.streamRevision('vm-a'), log.append(append)].map((task) =>
        failureOf(task),
      );
      const flow = gather(log.subscribe({ from: 0n, signal: new AbortController().signal }));
      const failures = Promise.allSettled([...waiting, flow]);
      // All have lost the server by now.
      await new Promise((resolve) => {
        const look = (): void => {
          if (logs.notices.length > 0) resolve(undefined);
          else setImmediate(look);
        };
        look();
      });
      await log.close();
      const codes = (await failures).map((outcome) =>
        outcome.status === 'fulfilled'
          ? (outcome.value as { code?: string }).code
          : (outcome.reason as { code?: string }).code,
      );
      expect(codes).toEqual(['LEDGER_CLOSED', 'LEDGER_CLOSED', 'LEDGER_CLOSED', 'LEDGER_CLOSED']);
    });
  });

  test('waits for an append that is under way, and leaves no call open', async () => {
    await withServerLogs(async (logs) => {
      const log = await logs.open();
      const hold = logs.double.faults.hold('append');
      const appending = fill(log, 2);
      await hold.reached(1);
      const closing = log.close();
      hold.release();
      expect((await appending).revision).toBe(1);
      await closing;
      const again = await logs.open();
      expect(await eventsOf(again)).toHaveLength(2);
    });
  });
});
