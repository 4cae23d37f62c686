// The servers that a test of behaviour runs on: always the double, and a real one when
// PAGELEDGER_ESDB_URL names it. Every test makes streams of its own, so that a real server may hold
// others, and be written to by other tests meanwhile.

import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe } from '@jest/globals';
import {
  type AppendResult,
  type BinaryEventType,
  type EventData,
  EventStoreDBClient,
  NO_STREAM,
} from '@eventstore/db-client';
import { eventOf, gather, UNARY } from './client-reading.ts';
import { startEventStoreDouble, type EventStoreDouble } from './eventstoredb-double.ts';

export type Append = (
  stream: string,
  expectedRevision: bigint | 'any' | 'no_stream' | 'stream_exists',
  ...events: EventData<BinaryEventType>[]
) => Promise<AppendResult>;

export interface ServerUnderTest {
  readonly client: EventStoreDBClient;
  readonly append: Append;
  /** A stream with so many events, each an append of its own, and their positions. */
  filled(count: number): Promise<{ readonly stream: string; readonly positions: bigint[] }>;
}

const REAL_URL = process.env['PAGELEDGER_ESDB_URL'];
const SERVERS: readonly string[] = REAL_URL === undefined ? ['double'] : ['double', 'real server'];

/** A stream that nobody else has. */
export const freshStream = (): string => `test-${randomUUID()}`;

export const placeOf = (commit: bigint) => ({ commit, prepare: commit });

/** Declares the tests once for each server; `current` gives it while they run. */
export function onEveryServer(tests: (current: () => ServerUnderTest) => void): void {
  describe.each(SERVERS)('the %s', (server) => {
    let double: EventStoreDouble | null = null;
    let current: ServerUnderTest | null = null;

    beforeAll(async () => {
      if (server === 'double') double = await startEventStoreDouble();
      current = underTest(EventStoreDBClient.connectionString(double?.url ?? REAL_URL!));
    });

    afterAll(async () => {
      await current?.client.dispose();
      await double?.stop();
    });

    tests(() => current!);
  });
}

function underTest(client: EventStoreDBClient): ServerUnderTest {
  const append: Append = (stream, expectedRevision, ...events) =>
    client.appendToStream(stream, events, { ...UNARY, expectedRevision });
  return {
    client,
    append,
    filled: async (count) => {
      const stream = freshStream();
      const positions: bigint[] = [];
      for (let i = 0; i < count; i++) {
        const expected = i === 0 ? NO_STREAM : BigInt(i - 1);
        const { position } = await append(stream, expected, eventOf(`${i}`));
        positions.push(position!.commit);
      }
      return { stream, positions };
    },
  };
}

/** What happened in a part of the log, and what is to be said of it. */
export interface Passage {
  /** Where it begins; it goes on to the log's end. */
  readonly from: bigint;
  readonly streams: readonly string[];
  check(): void;
}

/** Checks what `work` did if nobody else wrote in between, and otherwise has it done again. */
export async function undisturbed(
  client: EventStoreDBClient,
  work: () => Promise<Passage>,
): Promise<void> {
  for (;;) {
    const passage = await work();
    const all = await gather(client.readAll({ fromPosition: placeOf(passage.from) }));
    if (all.every(({ event }) => passage.streams.includes(event!.streamId))) {
      passage.check();
      return;
    }
  }
}
