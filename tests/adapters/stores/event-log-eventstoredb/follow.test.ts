// Where following the log begins and what it makes of the client's signals, against a model of the
// parts of the server's behaviour that the double does not have: a log that was tidied up.

import { PassThrough } from 'node:stream';
import { describe, expect, test } from '@jest/globals';
import type { AllStreamResolvedEvent } from '@eventstore/db-client';
import fc from 'fast-check';
import {
  Connection,
  LOG_LIMITS,
} from '../../../../adapters/stores/event-log-eventstoredb/connection.ts';
import { Feed } from '../../../../adapters/stores/event-log-eventstoredb/feed.ts';
import { follow } from '../../../../adapters/stores/event-log-eventstoredb/follow.ts';
import { parseConnectionString } from '../../../../adapters/stores/event-log-eventstoredb/ledger-url.ts';
import type {
  LedgerStreams,
  PlacedEvent,
  ServerPlace,
} from '../../../../adapters/stores/event-log-eventstoredb/streams.ts';
import type { LogSignal } from '../../../../domain/ports/event-log.ts';
import { triesOf } from '../../../support/long-run.ts';

/** A record of the model: ours or another's, there or tidied away. */
interface ModelRecord {
  readonly commit: bigint;
  readonly isOurs: boolean;
  readonly isGone: boolean;
}

const RECORD_BYTES = 10n;
const never = new AbortController().signal;

const eventAt = ({ commit, isOurs }: ModelRecord): PlacedEvent['recorded'] =>
  ({
    id: '00000000-0000-4000-8000-000000000001',
    streamId: isOurs ? 'here.vm-a' : 'other',
    revision: commit,
    type: 'SomethingHappened',
    isJson: false,
    data: new Uint8Array(),
    metadata: { schema: 1, timeMs: 1 },
    created: new Date(0),
    position: { commit, prepare: commit },
  }) as unknown as PlacedEvent['recorded'];

/**
 * Streams of a server that was tidied up, as a running one was measured to behave: a place whose record
 * is gone stands for the next record that is there, also as the record to start after.
 */
function tidiedUp(records: readonly ModelRecord[]): LedgerStreams {
  const there = records.filter(({ isGone }) => !isGone);
  const from = (commit: bigint): ModelRecord[] => there.filter((record) => record.commit >= commit);
  const placed = (record: ModelRecord): PlacedEvent => ({
    recorded: eventAt(record),
    place: { commit: record.commit, prepare: record.commit },
  });
  const streams = {
    firstKept: () => Promise.resolve(0),
    readOne: (_: unknown, { commit }: ServerPlace) => {
      const [first] = from(commit);
      return Promise.resolve(first === undefined ? null : placed(first));
    },
    follow: (_: unknown, after: ServerPlace | null) => {
      const rest = after === null ? there : from(after.commit).slice(1);
      const source = new PassThrough({ objectMode: true, highWaterMark: 1000 });
      for (const record of rest.filter(({ isOurs }) => isOurs))
        source.write({ event: eventAt(record) });
      setImmediate(() => {
        source.emit('confirmation');
        // All events are at hand and none was taken.
        source.emit('caughtUp');
      });
      return new Feed<AllStreamResolvedEvent>(source, never);
    },
    found: ({ recorded, place }: PlacedEvent) =>
      recorded.streamId === 'other'
        ? null
        : {
            isForeign: false,
            event: {
              ...recorded,
              id: new Uint8Array(16),
              stream: 'vm-a',
              revision: Number(place.commit),
              position: place.commit,
              schema: 1,
              timeMs: 1,
            },
          },
  };
  return streams as unknown as LedgerStreams;
}

async function positionsFrom(records: readonly ModelRecord[], from: bigint): Promise<bigint[]> {
  const settings = parseConnectionString('esdb://127.0.0.1:1/?tls=false');
  const onNotice = (): void => undefined;
  const connection = new Connection({ settings, certificates: {}, limits: LOG_LIMITS, onNotice });
  const head = records.at(-1)!.commit + 1n;
  const signals: LogSignal[] = [];
  const request = { connection, streams: tidiedUp(records), from, head, after: null, bound: null };
  for await (const signal of follow({ ...request, giveUpAfterMs: 0, signal: never })) {
    signals.push(signal);
    if (signal._tag === 'caughtUp') break;
  }
  await connection.close();
  expect(signals.at(-1)).toEqual({ _tag: 'caughtUp', next: head });
  return signals.flatMap((signal) =>
    signal._tag === 'items'
      ? signal.items.flatMap((item) => (item._tag === 'event' ? [item.event.position] : []))
      : [],
  );
}

describe('following a log that the server has tidied up', () => {
  test('begins with the first event at or after the place, whatever was there and just before it', async () => {
    const logs = fc
      .array(fc.record({ isOurs: fc.boolean(), isGone: fc.boolean() }), { maxLength: 12 })
      .map((shapes) => [
        ...shapes.map(({ isOurs, isGone }, i) => ({
          commit: BigInt(i) * RECORD_BYTES,
          isOurs,
          // What the ledger wrote is never tidied away.
          isGone: isGone && !isOurs,
        })),
        // The newest record of all is always there.
        { commit: BigInt(shapes.length) * RECORD_BYTES, isOurs: false, isGone: false },
      ]);
    await fc.assert(
      fc.asyncProperty(logs, fc.nat(), async (records, pick) => {
        const ours = records.filter(({ isOurs }) => isOurs);
        // A place where reading goes on, after any record that was the newest once; or an event's own.
        const places = [
          0n,
          ...records.map(({ commit }) => commit + 1n),
          ...ours.map((o) => o.commit),
        ];
        const from = places[pick % places.length]!;
        const expected = ours.map(({ commit }) => commit).filter((commit) => commit >= from);
        expect(await positionsFrom(records, from)).toEqual(expected);
      }),
      { numRuns: triesOf(300) },
    );
  });
});
