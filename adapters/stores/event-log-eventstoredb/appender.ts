// Appends to the server: always with the exact expected revision, so that repeating one whose answer
// was lost is answered as before; never "any". One at a time in each stream, in the order asked for,
// and at most APPENDS_IN_FLIGHT over all streams: a killed server has few to lose track of.

import { Limiter } from '../../../domain/values/limiter.ts';
import { Turns } from '../../../domain/values/turn.ts';
import { assert } from '../../../domain/values/assert.ts';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { APPEND_BYTES_MAX, EVENT_BYTES_MAX } from '../../../domain/values/page.ts';
import { NO_STREAM, type Appended, type AppendRequest } from '../../../domain/ports/event-log.ts';
import {
  NO_STREAM as NO_STREAM_AT_SERVER,
  type AppendResult,
  type EventData,
} from '@eventstore/db-client';
import type { Connection } from './connection.ts';
import { toServerEvent, uuidOf } from './event-codec.ts';
import { readFailure, streamDeleted } from './failures.ts';
import { AT_LEADER, type LedgerStreams } from './streams.ts';

/** Appends that are under way at once, over all streams. */
const APPENDS_IN_FLIGHT = 4;

/** An append, ready to be sent again and again. */
interface Sending {
  readonly stream: string;
  readonly expectedRevision: number;
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
    checkSizes(request);
    const sending = { stream, expectedRevision, events: request.events.map(toServerEvent) };
    return this.#turns.run(stream, () => this.#inFlight.run(() => this.#send(sending)));
  }

  async #send(sending: Sending): Promise<Appended> {
    const name = this.#streams.nameOf(sending.stream);
    const { expectedRevision } = sending;
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
    const { stream, expectedRevision, events } = sending;
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
  async #decide({ stream, expectedRevision, events }: Sending, actual: number): Promise<Appended> {
    const ids: string[] = [];
    let last: Appended | null = null;
    const range = { stream, fromRevision: expectedRevision + 1, count: events.length };
    if (actual >= expectedRevision + events.length)
      for await (const found of this.#streams.read(range))
        for (const { id, position, revision } of found) {
          ids.push(uuidOf(id));
          last = { position, revision };
        }
    if (last !== null && events.every(({ id }, i) => id === ids[i])) return last;
    throw new LedgerError(
      'REVISION_CONFLICT',
      `found stream ${stream} at revision ${actual}, expected ${expectedRevision}: another writer was first; read on and decide again`,
      { stream, expected: expectedRevision, actual },
    );
  }

  #deleted(name: string, found: string): LedgerError {
    return streamDeleted(name, { place: this.#connection.place, found });
  }
}

/** The same bounds as in every log, before anything is sent. */
function checkSizes({ stream, events }: AppendRequest): void {
  assert(events.length > 0, 'an append has an event');
  let sizeBytes = 0;
  for (const { data } of events) {
    if (data.length > EVENT_BYTES_MAX)
      throw tooLarge(`an event for ${stream}`, { found: data.length, expected: EVENT_BYTES_MAX });
    sizeBytes += data.length;
  }
  if (sizeBytes > APPEND_BYTES_MAX)
    throw tooLarge(`an append to ${stream}`, { found: sizeBytes, expected: APPEND_BYTES_MAX });
}

const tooLarge = (
  what: string,
  { found, expected }: { readonly found: number; readonly expected: number },
): LedgerError =>
  new LedgerError(
    'EVENT_TOO_LARGE',
    `found ${what} of ${found} bytes, expected at most ${expected}; cut it into smaller ones`,
    { found, expected },
  );
