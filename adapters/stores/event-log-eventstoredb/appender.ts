// Appends to the server: always with the exact expected revision, so that repeating one whose answer
// was lost is answered as before; never "any". One at a time in each stream, in the order asked for,
// and at most APPENDS_IN_FLIGHT over all streams: a killed server has few to lose track of.

import { Limiter } from '../../../domain/values/limiter.ts';
import { Turns } from '../../../domain/values/turn.ts';
import { assert } from '../../../domain/values/assert.ts';
import type { LedgerError } from '../../../domain/values/ledger-error.ts';
import {
  NO_STREAM,
  type Appended,
  type AppendRequest,
  type StoredEvent,
} from '../../../domain/ports/event-log.ts';
import { answeredBefore, checkAppend, conflict, revisionsOf } from '../append-requests.ts';
import {
  NO_STREAM as NO_STREAM_AT_SERVER,
  type AppendResult,
  type EventData,
} from '@eventstore/db-client';
import type { Connection } from './connection.ts';
import { toServerEvent } from './event-codec.ts';
import { readFailure, streamDeleted } from './failures.ts';
import { AT_LEADER, type LedgerStreams } from './streams.ts';

/** Appends that are under way at once, over all streams. */
const APPENDS_IN_FLIGHT = 4;

/** An append, ready to be sent again and again. */
interface Sending {
  readonly request: AppendRequest;
  /** Its events as they are sent. */
  readonly events: readonly EventData[];
}

export class Appender {
  readonly #connection: Connection;
  readonly #streams: LedgerStreams;
  readonly #inFlight = new Limiter(APPENDS_IN_FLIGHT);
  /** By stream. */
  readonly #turns = new Turns();

  constructor(connection: Connection, streams: LedgerStreams) {
    this.#connection = connection;
    this.#streams = streams;
  }

  async append(request: AppendRequest): Promise<Appended> {
    this.#connection.checkOpen();
    const { stream, expectedRevision } = request;
    assert(expectedRevision >= NO_STREAM, 'an append expects a revision or NO_STREAM');
    checkAppend(request);
    const sending = { request, events: request.events.map(toServerEvent) };
    return this.#turns.run(stream, () => this.#inFlight.run(() => this.#send(sending)));
  }

  async #send(sending: Sending): Promise<Appended> {
    const { stream: streamName, expectedRevision } = sending.request;
    const name = this.#streams.nameOf(streamName);
    const answer = await this.#connection.call(`appending to stream ${name}`, async (client) => {
      try {
        return await client.appendToStream(name, [...sending.events], {
          ...AT_LEADER,
          expectedRevision:
            expectedRevision === NO_STREAM ? NO_STREAM_AT_SERVER : BigInt(expectedRevision),
          deadline: this.#connection.limits.callMs,
        });
      } catch (thrown) {
        const { kind, actual } = readFailure(thrown);
        if (kind === 'conflict') return { actual: actual ?? NO_STREAM };
        if (kind === 'deleted') throw this.#deleted(name, 'deleted for good');
        throw thrown;
      }
    });
    return 'actual' in answer
      ? this.#decide(sending, answer.actual)
      : this.#answered(sending, answer);
  }

  async #answered(
    sending: Sending,
    { nextExpectedRevision, position }: AppendResult,
  ): Promise<Appended> {
    const { stream, expectedRevision, events } = sending.request;
    const revision = expectedRevision + events.length;
    // A stream that was deleted softly takes its next event as if it were new, under a later revision.
    if (Number(nextExpectedRevision) !== revision)
      throw this.#deleted(
        this.#streams.nameOf(stream),
        `deleted before: it went on at revision ${nextExpectedRevision} instead of ${revision}`,
      );
    // The answer to a repeated append may come without a position.
    const place = position?.commit ?? (await this.#streams.positionOf(stream, revision));
    assert(place !== null, 'an event that was appended has a position');
    return { position: place, revision };
  }

  /** Another writer was first, unless what it wrote are these very events, sent before. */
  async #decide({ request }: Sending, actual: number): Promise<Appended> {
    const range = revisionsOf(request, actual);
    if (range === null) throw conflict(request, actual);
    const found: StoredEvent[] = [];
    const { stream } = request;
    for await (const events of this.#streams.read({ stream, ...range })) found.push(...events);
    return answeredBefore(request, { found, actual });
  }

  #deleted(name: string, found: string): LedgerError {
    return streamDeleted(name, { place: this.#connection.place, found });
  }
}
