// The server that the log of a bench is on, and the least that its client package does for the same
// bytes: the limit. PAGELEDGER_ESDB_URL names a running server; without it there is the double in the
// bench's own process, which keeps everything in memory and takes its time from the bench.

import { randomBytes } from 'node:crypto';
import {
  binaryEvent,
  EventStoreDBClient,
  NO_STREAM as NO_STREAM_AT_SERVER,
  type EventData,
} from '@eventstore/db-client';
import { assert } from '../../domain/values/assert.ts';
import { NO_STREAM, type NewEvent, type Position } from '../../domain/ports/event-log.ts';
import { startEventStoreDouble } from '../support/eventstoredb-double/eventstoredb-double.ts';

/** Credentials of a call make an append unary; a connection without TLS sends none. */
const UNARY = { credentials: { username: 'nobody', password: 'none' } } as const;

export interface LogServer {
  /** How rows call it. */
  readonly label: string;
  /** Whether its positions are places in files. */
  readonly isReal: boolean;
  readonly raw: RawClient;
  /** The URL of a ledger there that nobody has yet. */
  freshUrl(): string;
  stop(): Promise<void>;
}

/** The client package as it comes, without our adapter. */
class RawClient {
  readonly #client: EventStoreDBClient;

  constructor(url: string) {
    this.#client = EventStoreDBClient.connectionString(url);
  }

  /** Appends in order, each when the one before was answered, to a stream that has no event. */
  async append(stream: string, appends: readonly (readonly EventData[])[]): Promise<void> {
    let revision = NO_STREAM;
    for (const events of appends) {
      const expectedRevision = revision === NO_STREAM ? NO_STREAM_AT_SERVER : BigInt(revision);
      await this.#client.appendToStream(stream, [...events], { expectedRevision, ...UNARY });
      revision += events.length;
    }
  }

  /** Bytes of data of so many events of a stream. */
  async readStream(stream: string, count: number): Promise<number> {
    let bytes = 0;
    let events = 0;
    for await (const { event } of this.#client.readStream(stream, { maxCount: count })) {
      bytes += (event!.data as Uint8Array).length;
      events += 1;
    }
    assert(events === count, 'a stream has its events');
    return bytes;
  }

  /** Bytes of so many events of any stream, from a place on, as far as they are binary. */
  async readAll(from: Position, count: number): Promise<number> {
    let bytes = 0;
    const fromPosition = { commit: from, prepare: from };
    for await (const { event } of this.#client.readAll({ fromPosition, maxCount: count }))
      if (event?.isJson === false) bytes += event.data.length;
    return bytes;
  }

  dispose(): Promise<void> {
    return this.#client.dispose();
  }
}

/** An event of the same bytes, ready for the client. */
export const rawEvent = ({ type, data }: NewEvent): EventData =>
  binaryEvent({ type, data: new Uint8Array(data) });

function withLedgerName(url: string): string {
  const server = new URL(url);
  server.searchParams.set('ledger', `bench-${randomBytes(6).toString('hex')}`);
  return server.href;
}

/** Starts the double, or takes the server that there is. */
export async function startLogServer(): Promise<LogServer> {
  const realUrl = process.env['PAGELEDGER_ESDB_URL'];
  const double = realUrl === undefined ? await startEventStoreDouble() : null;
  const url = double?.url ?? realUrl!;
  const raw = new RawClient(url);
  return {
    label: double === null ? 'EventStoreDB' : "the double of EventStoreDB, in the bench's process",
    isReal: double === null,
    raw,
    freshUrl: () => withLedgerName(url),
    stop: async () => {
      await raw.dispose();
      await double?.stop();
    },
  };
}
