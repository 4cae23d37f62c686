// What the user is told for everything that a server answers.

import { status } from '@grpc/grpc-js';
import { describe, expect, jest, test } from '@jest/globals';
import type { EventStoreLog } from '../../../../adapters/stores/event-log-eventstoredb/event-log-eventstoredb.ts';
import {
  isTransient,
  readFailure,
} from '../../../../adapters/stores/event-log-eventstoredb/failures.ts';
import { InvariantError } from '../../../../domain/values/assert.ts';
import { isLedgerError, type LedgerError } from '../../../../domain/values/ledger-error.ts';
import { NO_STREAM } from '../../../../domain/ports/event-log.ts';
import { eventsOf, makeEvent, makeEvents, streamOf } from '../../../support/logs/log-events.ts';
import { failureOf, gather, valueOf } from '../../../support/outcomes.ts';
import { LEDGER, withServerLogs, type ServerLogs } from '../../../support/logs/server-logs.ts';

// A server on a busy machine takes its time; what hangs does not end at all.
jest.setTimeout(300_000);

const STREAM = `${LEDGER}.vm-a`;

const append = (log: EventStoreLog, expectedRevision = NO_STREAM, count = 1) =>
  log.append({ stream: 'vm-a', expectedRevision, events: makeEvents(count) });

/** What a flow fails with. */
async function flowFailure(flow: AsyncIterable<unknown>): Promise<LedgerError> {
  try {
    await gather(flow);
  } catch (thrown) {
    if (isLedgerError(thrown)) return thrown;
    throw thrown;
  }
  throw new TypeError('a failure was expected, but it ended');
}

const read = (log: EventStoreLog) => log.read({ from: 0n });
const readStream = (log: EventStoreLog) =>
  log.readStream({ stream: 'vm-a', fromRevision: 0, count: 9, fromPosition: 0n });
const subscribe = (log: EventStoreLog) =>
  log.subscribe({ from: 0n, signal: new AbortController().signal });

/** Everything that can be asked, as something that fails. */
const EVERY_REQUEST: readonly (readonly [string, (log: EventStoreLog) => Promise<LedgerError>])[] =
  [
    ['an append', (log) => failureOf(append(log, 0))],
    ['the head', (log) => failureOf(log.head())],
    ['a revision', (log) => failureOf(log.streamRevision('vm-a'))],
    ['a reading', (log) => flowFailure(read(log))],
    ['a reading of a stream', (log) => flowFailure(readStream(log))],
    ['a check', (log) => flowFailure(log.check())],
  ];

/** All calls of the double fail with a status. */
function failAll({ double }: ServerLogs, code: status, message?: string): void {
  for (const method of ['append', 'read', 'subscribe'] as const)
    double.faults.fail({
      method,
      status: code,
      count: 1000,
      ...(message === undefined ? {} : { message }),
    });
}

describe('a server that refuses', () => {
  test.each([
    ['wrong credentials', status.UNAUTHENTICATED],
    ['missing rights', status.PERMISSION_DENIED],
    ['a request that it does not take', status.INVALID_ARGUMENT],
    ['a service that it does not have', status.UNIMPLEMENTED],
    ['a failure without a name', status.UNKNOWN],
  ])('%s is LOG_REFUSED at once, for whatever was asked', async (_, code) => {
    await withServerLogs(async (logs) => {
      const log = await logs.open();
      await valueOf(append(log));
      failAll(logs, code, 'because so');
      for (const [name, request] of [
        ...EVERY_REQUEST,
        ['a subscription', (l: EventStoreLog) => flowFailure(subscribe(l))] as const,
      ]) {
        const failure = await request(log);
        expect([name, failure.code]).toEqual([name, 'LOG_REFUSED']);
        expect(failure.message).toContain('because so');
        expect(failure.message).toContain(`esdb://127.0.0.1:${logs.double.port}`);
      }
      expect(logs.notices).toEqual([]);
    });
  });

  test('a place that is no event’s is LOG_REFUSED, and events’ own places are not', async () => {
    await withServerLogs(async (logs) => {
      const log = await logs.open();
      await valueOf(append(log, NO_STREAM, 3));
      const [, second] = await eventsOf(log);
      expect(await eventsOf(log, second!.position)).toHaveLength(2);
      expect(await eventsOf(log, second!.position + 1n)).toHaveLength(1);
      for (const from of [second!.position + 2n, second!.position - 1n]) {
        const failures = [
          await flowFailure(log.read({ from })),
          await flowFailure(log.subscribe({ from, signal: new AbortController().signal })),
        ];
        for (const { code, facts } of failures)
          expect({ code, facts }).toMatchObject({ code: 'LOG_REFUSED', facts: { position: from } });
      }
      const head = await valueOf(log.head());
      expect(await gather(log.read({ from: head + 5n }))).toEqual([{ items: [], next: head + 5n }]);
      const { signal } = new AbortController();
      const beyond = await flowFailure(log.subscribe({ from: head + 5n, signal }));
      expect(beyond.code).toBe('LOG_REFUSED');
    });
  });

  test('an append above the server’s own bound is EVENT_TOO_LARGE, and the stream goes on', async () => {
    await withServerLogs(
      async (logs) => {
        const log = await logs.open();
        const events = [makeEvent(10_001)];
        const request = { stream: 'vm-a', expectedRevision: NO_STREAM, events };
        const failure = await failureOf(log.append(request));
        expect(failure.code).toBe('EVENT_TOO_LARGE');
        expect(failure.message).toContain('10000');
        await valueOf(append(log));
      },
      { appendBytesMax: 10_000 },
    );
  });

  test('a message above the server’s bound is EVENT_TOO_LARGE, and appends beside it are taken', async () => {
    await withServerLogs(
      async (logs) => {
        const log = await logs.open();
        const large = { stream: 'vm-b', expectedRevision: NO_STREAM, events: [makeEvent(60_000)] };
        const outcomes = await Promise.all([append(log)(), failureOf(log.append(large))]);
        expect(outcomes[0]._tag).toBe('Right');
        expect(outcomes[1].code).toBe('EVENT_TOO_LARGE');
        expect(await eventsOf(log)).toHaveLength(1);
      },
      { messageBytesMax: 50_000 },
    );
  });
});

describe('a stream that somebody deleted or cut off', () => {
  test('for good is LOG_DAMAGED for whatever is asked of it, and in the log it shows as damage', async () => {
    await withServerLogs(async (logs) => {
      const log = await logs.open();
      await valueOf(append(log, NO_STREAM, 2));
      logs.double.records.tombstone(STREAM);
      for (const request of [append(log, 1), log.streamRevision('vm-a')]) {
        const failure = await failureOf(request);
        expect(failure.code).toBe('LOG_DAMAGED');
        expect(failure.message).toContain(STREAM);
        expect(failure.message).toContain('restore the server from a copy');
      }
      expect((await flowFailure(readStream(log))).code).toBe('LOG_DAMAGED');
      const items = (await gather(read(log))).flatMap((chunk) => chunk.items);
      expect(items.map(({ _tag }) => _tag)).toEqual(['event', 'event', 'damage']);
      const found = await gather(log.check());
      expect(found.map(({ kind, stream }) => [kind, stream])).toContainEqual([
        'log-damaged',
        'vm-a',
      ]);
    });
  });

  test('softly is not taken for a new stream, and an append that revived it is not taken for good', async () => {
    await withServerLogs(async (logs) => {
      const log = await logs.open();
      await valueOf(append(log, NO_STREAM, 2));
      logs.double.records.softDelete(STREAM);
      expect((await failureOf(log.streamRevision('vm-a'))).code).toBe('LOG_DAMAGED');
      expect((await flowFailure(readStream(log))).code).toBe('LOG_DAMAGED');
      const found = await gather(log.check());
      expect(found.map(({ kind, stream }) => [kind, stream])).toEqual([['log-damaged', 'vm-a']]);
      // The server takes the next event as a new stream's, and counts on.
      const failure = await failureOf(append(log, NO_STREAM));
      expect(failure.code).toBe('LOG_DAMAGED');
      expect(failure.message).toContain('went on at revision 2 instead of 0');
    });
  });

  test('at its beginning is LOG_DAMAGED where the missing is read, and whole where it is not', async () => {
    await withServerLogs(async (logs) => {
      const log = await logs.open();
      await valueOf(append(log, NO_STREAM, 6));
      logs.double.records.setStreamMetadata(STREAM, { $tb: 3 });
      const failure = await flowFailure(readStream(log));
      expect(failure.code).toBe('LOG_DAMAGED');
      expect(failure.message).toContain('without its revisions 0 to 2');
      expect(await streamOf(log, 'vm-a', { from: 3 })).toHaveLength(3);
      expect(await streamOf(log, 'vm-a', { from: 6 })).toEqual([]);
      expect((await gather(log.check())).map(({ kind }) => kind)).toEqual(['log-damaged']);
      logs.double.records.setStreamMetadata(STREAM, { $tb: 6 });
      expect((await flowFailure(readStream(log))).code).toBe('LOG_DAMAGED');
      expect((await failureOf(log.streamRevision('vm-a'))).code).toBe('LOG_DAMAGED');
    });
  });

  test('and whose events are gone from the log too shows as damage just before what follows', async () => {
    await withServerLogs(async (logs) => {
      const log = await logs.open();
      await valueOf(append(log, NO_STREAM, 6));
      const { all } = logs.double.records;
      // As after the server has tidied up.
      const tidyUp = (revision: bigint): void => {
        const index = all.findIndex(
          (event) => event.stream === STREAM && event.revision === revision,
        );
        all.splice(index, 1);
      };
      tidyUp(3n);
      tidyUp(4n);
      const [whole] = await gather(read(log));
      expect(whole!.items.map(({ _tag }) => _tag)).toEqual([
        'event',
        'event',
        'event',
        'damage',
        'event',
      ]);
      expect(whole!.items[3]).toMatchObject({
        damage: { stream: 'vm-a', revisions: [3, 4], position: all.at(-1)!.position },
      });
      tidyUp(0n);
      const [cut] = await gather(read(log));
      expect(cut!.items[0]).toMatchObject({ damage: { stream: 'vm-a', revisions: [0, 0] } });
      // Who begins later does not know what was before.
      const later = await gather(
        log.read({
          from: whole!.items.flatMap((item) =>
            item._tag === 'event' ? [item.event.position] : [],
          )[2]!,
        }),
      );
      expect(later[0]!.items.map(({ _tag }) => _tag)).toEqual(['event', 'damage', 'event']);
    });
  });
});

describe('a failure', () => {
  interface Fields {
    readonly type?: string;
    readonly code?: number;
    readonly message?: string;
  }
  test.each<readonly [Fields, string]>([
    [{ type: 'unavailable', code: 14 }, 'unreachable'],
    // The client lets some errors through as they are.
    [{ code: 14, message: '14 UNAVAILABLE: No connection established' }, 'unreachable'],
    [{ code: 13, message: 'Received RST_STREAM with code 2' }, 'unreachable'],
    [{ type: 'unknown', code: 2, message: 'No leader info available in response' }, 'unreachable'],
    [{ message: 'Failed to discover after 10 attempts.' }, 'unreachable'],
    [{ type: 'timeout', code: 10, message: 'Operation timed out: Prepare phase' }, 'unreachable'],
    [{ type: 'timeout', code: 10, message: 'Consumer too slow to handle' }, 'tooSlow'],
    [{ type: 'not-leader', code: 5 }, 'notLeader'],
    [{ type: 'unavailable', code: 14, message: 'self-signed certificate' }, 'refused'],
    [{ type: 'access-denied', code: 7 }, 'refused'],
    [{ type: 'unknown', code: 2, message: 'Unexpected ReadAllResult: Error' }, 'other'],
    [{ type: 'invalid-argument', code: 3 }, 'invalid'],
    [{ code: 3, message: '3 INVALID_ARGUMENT: no such position' }, 'invalid'],
    [{ type: 'unknown', code: 8, message: 'Received message larger than max' }, 'tooLarge'],
  ])('%j is read as %s', (thrown, kind) => {
    const failure = readFailure(Object.assign(new Error(thrown.message), thrown));
    expect(failure.kind).toBe(kind);
    expect(isTransient(failure)).toBe(['unreachable', 'tooSlow', 'notLeader'].includes(kind));
  });

  test('that is a bug of our own goes on up', () => {
    const caught = (thrown: unknown): unknown => {
      try {
        return readFailure(thrown);
      } catch (again) {
        return again;
      }
    };
    for (const bug of [new InvariantError('x'), new TypeError('y'), 'text', null])
      expect(caught(bug)).toBe(bug);
  });
});
