// How the ledger's streams are called on the server, and how its events are found there: one by one in
// a stream, or all together by the prefix that the ledger's name and a dot are.

import {
  BACKWARDS,
  END,
  FORWARDS,
  streamNameFilter,
  type AllStreamResolvedEvent,
  type ReadAllOptions,
  type RecordedEvent,
  type ResolvedEvent,
} from '@eventstore/db-client';
import * as either from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';
import { assert } from '../../../domain/values/assert.ts';
import type { LedgerError } from '../../../domain/values/ledger-error.ts';
import { NO_STREAM } from '../../../domain/ports/event-log.ts';
import type { Position, StoredEvent, StreamRange } from '../../../domain/ports/event-log.ts';
import type { LogClient } from './client.ts';
import { Tries, type Connection } from './connection.ts';
import { fromServerEvent, type FoundEvent } from './event-codec.ts';
import { readFailure, streamDeleted } from './failures.ts';
import { drain, EVENTS_AHEAD, Feed } from './feed.ts';
import { ItemBatch } from './item-batch.ts';

/** Events asked for in one call. */
const PAGE_EVENTS = 256;
/** Marks of the server's progress that nobody needs: seldom, for each takes room meant for events. */
const MARK_EVERY_WINDOWS = 1024;

const AHEAD = { highWaterMark: EVENTS_AHEAD };
/** A server that is not the leader may not know yet what was written a moment ago. */
export const AT_LEADER = { requiresLeader: true };

/** A place among all events of the server, as its clients tell it. */
export interface ServerPlace {
  readonly commit: bigint;
  readonly prepare: bigint;
}

/** An event at its place. */
export interface PlacedEvent {
  readonly recorded: RecordedEvent;
  readonly place: ServerPlace;
}

export const placedOf = (resolved: AllStreamResolvedEvent): PlacedEvent | null => {
  const recorded = resolved.event ?? resolved.link;
  return recorded === undefined ? null : { recorded, place: recorded.position };
};

/** What the server keeps about a stream, as far as it is looked at: events before `$tb` are gone. */
const StreamSettings = t.type({ $tb: t.number });
/** Where this ledger let go of a stream's beginning, as it notes beside the server's own `$tb`. */
const CUT_FIELD = 'pageledgerFirst';
const CutSettings = t.type({ [CUT_FIELD]: t.number });

const nothing = new AbortController().signal;

export class LedgerStreams {
  readonly #prefix: string;
  readonly #connection: Connection;

  constructor(connection: Connection, ledger: string) {
    this.#connection = connection;
    this.#prefix = `${ledger}.`;
  }

  /** The stream's name on the server. */
  nameOf(stream: string): string {
    assert(stream !== '', 'a stream has a name');
    return this.#prefix + stream;
  }

  /** The event as the port gives it; null: it is not of this ledger. */
  found({ recorded, place }: PlacedEvent): FoundEvent | null {
    if (!recorded.streamId.startsWith(this.#prefix)) return null;
    const stream = recorded.streamId.slice(this.#prefix.length);
    return fromServerEvent(recorded, { stream, position: place.commit });
  }

  /** The newest event of all, or the first at or after a place; null: there is none. */
  async readOne(client: LogClient, at: 'newest' | ServerPlace): Promise<PlacedEvent | null> {
    const options: ReadAllOptions =
      at === 'newest'
        ? { direction: BACKWARDS, fromPosition: END, maxCount: 1, ...AT_LEADER }
        : { direction: FORWARDS, fromPosition: { ...at }, maxCount: 1, ...AT_LEADER };
    const source = client.readAll(options, AHEAD);
    const feed = new Feed<AllStreamResolvedEvent>(source, this.#connection.closing);
    let placed: PlacedEvent | null = null;
    // To its end, which comes with the event: leaving early would have to end the call.
    for await (const resolved of drain(feed, this.#connection.limits.callMs))
      placed ??= placedOf(resolved);
    return placed;
  }

  /** The ledger's events after a place, then those that come. */
  follow(client: LogClient, after: ServerPlace | null): Feed<AllStreamResolvedEvent> {
    const filter = streamNameFilter({
      prefixes: [this.#prefix],
      checkpointInterval: MARK_EVERY_WINDOWS,
    });
    const from = after === null ? {} : { fromPosition: { ...after } };
    const source = client.subscribeToAll({ filter, ...from, ...AT_LEADER }, AHEAD);
    return new Feed(source, this.#connection.closing);
  }

  /** The last event of a stream, whoever wrote it; null: the stream has none. */
  #last(name: string): Promise<RecordedEvent | null> {
    return this.#connection.call(`reading stream ${name}`, (client) => this.#lastBy(client, name));
  }

  /** The same, by one call. */
  async #lastBy(client: LogClient, name: string): Promise<RecordedEvent | null> {
    const { closing, limits } = this.#connection;
    const source = client.readStream(
      name,
      { direction: BACKWARDS, fromRevision: END, maxCount: 1, ...AT_LEADER },
      AHEAD,
    );
    const feed = new Feed<ResolvedEvent>(source, closing);
    let last: RecordedEvent | null = null;
    try {
      for await (const { event } of drain(feed, limits.callMs)) last ??= event ?? null;
    } catch (thrown) {
      if (!this.#isAbsent(name, thrown)) throw thrown;
    }
    return last;
  }

  /** Whether that is the server's word for a stream without events; LOG_DAMAGED for one deleted. */
  #isAbsent(name: string, thrown: unknown): boolean {
    const { kind } = readFailure(thrown);
    if (kind === 'deleted') throw this.#deleted(name, 'deleted for good');
    return kind === 'absent';
  }

  #deleted(name: string, found: string): LedgerError {
    return streamDeleted(name, { place: this.#connection.place, found });
  }

  /** Where the server was told to forget events, their absence is damage, not the stream's end. */
  async #checkNotForgotten(name: string, revision: number): Promise<void> {
    const settings = await this.#last(`$$${name}`);
    const parsed = StreamSettings.decode(settings?.data);
    if (either.isRight(parsed) && parsed.right.$tb > revision)
      throw this.#deleted(
        name,
        `deleted or cut off: nothing is there from revision ${revision} on`,
      );
  }

  /**
   * The first revision that stays of a stream of which the ledger let a beginning go; 0: of all. Given a
   * client, by one call of it: who follows the log tries again as a whole, for as long as it wants to.
   */
  async firstKept(stream: string, client?: LogClient): Promise<number> {
    const name = `$$${this.nameOf(stream)}`;
    const settings = await (client === undefined ? this.#last(name) : this.#lastBy(client, name));
    const parsed = CutSettings.decode(settings?.data);
    return either.isRight(parsed) ? parsed.right[CUT_FIELD] : 0;
  }

  /** Tells the server that events before a revision may go: it tidies them up when it scavenges. */
  async cut(stream: string, firstKept: number): Promise<void> {
    const name = this.nameOf(stream);
    if ((await this.firstKept(stream)) >= firstKept) return;
    await this.#connection.call(`cutting stream ${name}`, async (client) => {
      const { metadata } = await client.getStreamMetadata(name, AT_LEADER);
      const settings = { ...metadata, truncateBefore: firstKept, [CUT_FIELD]: firstKept };
      await client.setStreamMetadata(name, settings, AT_LEADER);
    });
  }

  /** A stream's last event; null: it has none. */
  async last(stream: string): Promise<StoredEvent | null> {
    const revision = await this.revision(stream);
    if (revision === NO_STREAM) return null;
    const range = { stream, fromRevision: revision, count: 1 };
    for await (const [event] of this.read(range)) return event ?? null;
    return null;
  }

  async revision(stream: string): Promise<number> {
    const name = this.nameOf(stream);
    const last = await this.#last(name);
    if (last !== null) return Number(last.revision);
    await this.#checkNotForgotten(name, 0);
    return NO_STREAM;
  }

  /** The position of an event of a stream; null: it is not there. */
  async positionOf(stream: string, revision: number): Promise<Position | null> {
    for await (const [event] of this.read({ stream, fromRevision: revision, count: 1 }))
      return event?.position ?? null;
    return null;
  }

  /** Events of one stream, in order, without gaps. */
  async *read({
    stream,
    fromRevision,
    count,
  }: Omit<StreamRange, 'fromPosition'>): AsyncGenerator<readonly StoredEvent[]> {
    const end = fromRevision + count;
    let at = fromRevision;
    while (at < end) {
      const pageEnd = Math.min(end, at + PAGE_EVENTS);
      for await (const batch of this.#readPage(stream, { from: at, end: pageEnd })) {
        at += batch.length;
        yield batch;
      }
      // A page that is short is the stream's end.
      if (at < pageEnd) break;
    }
    if (at === fromRevision && count > 0) await this.#checkNotForgotten(this.nameOf(stream), at);
  }

  async *#readPage(
    stream: string,
    { from, end }: { readonly from: number; readonly end: number },
  ): AsyncGenerator<readonly StoredEvent[]> {
    const name = this.nameOf(stream);
    const { limits } = this.#connection;
    const operation = `reading stream ${name}`;
    const tries = new Tries(this.#connection, { operation, giveUpAfterMs: limits.giveUpAfterMs });
    const batch = new ItemBatch<StoredEvent>();
    let at = from;
    while (at < end) {
      const { client, closing } = this.#connection;
      const feed = new Feed<ResolvedEvent>(
        client.readStream(
          name,
          { fromRevision: BigInt(at), maxCount: end - at, direction: FORWARDS, ...AT_LEADER },
          AHEAD,
        ),
        closing,
      );
      try {
        for (;;) {
          const resolved = feed.take() ?? (batch.isEmpty ? null : await feed.takeSoon());
          if (resolved !== null) {
            const event = this.#inOrder(resolved, { stream, revision: at });
            tries.progressed();
            at += 1;
            batch.add(event, event.data.length);
          }
          if (batch.isFull || (resolved === null && !batch.isEmpty)) yield batch.take();
          else if (resolved === null) {
            if (feed.isEnded) return;
            await feed.wait(nothing, limits.callMs);
          }
        }
      } catch (thrown) {
        if (this.#isAbsent(name, thrown)) return;
        await tries.failed(client, thrown);
      } finally {
        await feed.release();
      }
    }
  }

  /** The event of a stream that has the next revision, or LOG_DAMAGED. */
  #inOrder(
    { event: recorded, commitPosition }: ResolvedEvent,
    { stream, revision }: { readonly stream: string; readonly revision: number },
  ): StoredEvent {
    const position = recorded?.position?.commit ?? commitPosition;
    assert(recorded !== undefined && position !== undefined, 'an event of a stream has a place');
    const { event } = fromServerEvent(recorded, { stream, position });
    if (event.revision === revision) return event;
    throw this.#deleted(
      this.nameOf(stream),
      `without its revisions ${revision} to ${event.revision - 1}`,
    );
  }
}
