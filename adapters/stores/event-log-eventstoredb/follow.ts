// Following the ledger's events from a place on: replay, the word that the end was reached, then live,
// through lost connections, without losing or repeating an event. Reading is following up to the end.
//
// The server's subscriptions start after a record. Given a place that is no record's, or of one that
// was tidied away since, it takes the next record for it and skips that; so the record to start after
// is looked up first, always.

import type { AllStreamResolvedEvent } from '@eventstore/db-client';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import {
  isMarked,
  logReplaced,
  markOf,
  type EventMark,
  type LogItem,
  type LogSignal,
  type Position,
  type StoredEvent,
} from '../../../domain/ports/event-log.ts';
import type { LogClient } from './client.ts';
import { Tries, type Connection } from './connection.ts';
import { FlowEnded, isNoRecord, readFailure } from './failures.ts';
import type { Feed } from './feed.ts';
import { ItemBatch } from './item-batch.ts';
import { isTombstone, RevisionCheck } from './revision-check.ts';
import { placedOf, type LedgerStreams, type PlacedEvent, type ServerPlace } from './streams.ts';

export interface FollowRequest {
  readonly connection: Connection;
  readonly streams: LedgerStreams;
  readonly from: Position;
  /** What was read last before it. */
  readonly after: EventMark | null;
  /** Where that is, from which reading goes on, if the server has said so just now; absent: it is looked up. */
  readonly found?: ServerPlace | null;
  /** The log's head when this began: the place that being caught up means. */
  readonly head: Position;
  /** Events at or after it are not given, and the first one ends it; null: there is no such bound. */
  readonly bound: Position | null;
  readonly giveUpAfterMs: number;
  readonly signal: AbortSignal;
}

/** Where a subscription is to start: after a record, having given the event that was found on the way. */
interface Start {
  readonly after: ServerPlace | null;
  readonly first: PlacedEvent | null;
}

const noSuchPlace = (from: Position, place: string): LedgerError =>
  new LedgerError(
    'LOG_REFUSED',
    `found no event at position ${from} on ${place}, expected one there or just before it; positions come from this log's own events: begin at 0, or at a position that \`pageledger log\` shows`,
    { position: from, place },
  );

/** The first event at or after a commit position; `none` where the server has no record there. */
async function lookUp(
  { streams }: Pick<FollowRequest, 'streams'>,
  client: LogClient,
  commit: bigint,
): Promise<PlacedEvent | 'none' | 'end'> {
  try {
    return (await streams.readOne(client, { commit, prepare: commit })) ?? 'end';
  } catch (thrown) {
    if (isNoRecord(readFailure(thrown))) return 'none';
    throw thrown;
  }
}

/** What was found at a mark's place, which is what was marked: LOG_REPLACED. */
async function checked(
  { streams, connection }: Pick<FollowRequest, 'streams' | 'connection'>,
  mark: EventMark,
  looked: Promise<PlacedEvent | 'none' | 'end'>,
): Promise<PlacedEvent> {
  const found = await looked;
  const event = typeof found === 'string' ? null : streams.found(found);
  if (typeof found === 'string' || event === null || !isMarked(mark, event.event))
    throw logReplaced(connection.place, mark.position);
  return found;
}

/** LOG_REPLACED where the log does not have an event that was read. */
export const checkMark = (
  request: Pick<FollowRequest, 'streams' | 'connection'>,
  client: LogClient,
  mark: EventMark,
): Promise<PlacedEvent> => checked(request, mark, lookUp(request, client, mark.position));

/** Finds the record to start after, such that the next event is the first at or after `from`. */
async function findStart(
  request: FollowRequest,
  client: LogClient,
  { from, after }: { readonly from: Position; readonly after: EventMark | null },
): Promise<Start> {
  if (after?.position === from - 1n) {
    const found = await checked(request, after, lookUp(request, client, after.position));
    return { after: found.place, first: null };
  }
  if (after !== null) {
    const start = findStart(request, client, { from, after: null });
    const found = checked(request, after, lookUp(request, client, after.position));
    // Whose failure is told must not hang on which comes first.
    const [place, there] = await Promise.allSettled([start, found]);
    if (there.status === 'rejected') throw there.reason;
    if (place.status === 'rejected') throw place.reason;
    return place.value;
  }
  if (from === 0n) return { after: null, first: null };
  // A place where reading goes on is the one just after a record's. Else it is an event's own.
  for (const commit of [from - 1n, from]) {
    const found = await lookUp(request, client, commit);
    if (found === 'end') break;
    if (found === 'none') continue;
    const { place } = found;
    return { after: place, first: place.commit < from ? null : found };
  }
  throw noSuchPlace(from, request.connection.place);
}

/** One following, over all its connections. */
class Following {
  next: Position;
  /** The last event that was taken. */
  #last: EventMark | null;
  isCaughtUp = false;
  readonly #request: FollowRequest;
  readonly #check: RevisionCheck;
  readonly #batch = new ItemBatch<LogItem>();
  #isPastBound = false;

  constructor(request: FollowRequest) {
    this.#request = request;
    this.next = request.from;
    this.#last = request.after;
    this.#check = new RevisionCheck(request.from);
  }

  get #isOver(): boolean {
    return this.#request.signal.aborted || this.#isPastBound;
  }

  /** Takes an event in; what it makes is in the batch. */
  async #takeIn(client: LogClient, placed: PlacedEvent | null): Promise<void> {
    const { streams } = this.#request;
    const event = placed === null ? undefined : streams.found(placed)?.event;
    if (event === undefined) return;
    if (this.#check.asks(event))
      this.#check.tell(event.stream, await streams.firstKept(event.stream, client));
    this.#take(event);
  }

  #take(event: StoredEvent): void {
    if (event.position < this.next) return;
    const { bound } = this.#request;
    if (bound !== null && event.position >= bound) {
      this.#isPastBound = true;
      return;
    }
    const damage = this.#check.take(event);
    if (damage !== null) this.#batch.add({ _tag: 'damage', damage }, 0);
    if (!isTombstone(event)) {
      this.#batch.add({ _tag: 'event', event }, event.data.length);
      this.#last = markOf(event);
    }
    this.next = event.position + 1n;
  }

  /** The next event; a batch that has begun waits for what is already on its way. */
  async #next(feed: Feed<AllStreamResolvedEvent>): Promise<AllStreamResolvedEvent | null> {
    return feed.take() ?? (this.#batch.isEmpty ? null : await feed.takeSoon());
  }

  #items(): LogSignal {
    return { _tag: 'items', items: this.#batch.take(), next: this.next };
  }

  /**
   * What one connection gives, from `next` on. It ends at the bound, or when aborted, or it fails. A
   * connection after a lost one says so once it stands, before anything else.
   */
  async *connected(
    client: LogClient,
    { tries, isAgain }: { readonly tries: Tries; readonly isAgain: boolean },
  ): AsyncGenerator<LogSignal> {
    const { streams, signal, connection } = this.#request;
    const at = { from: this.next, after: this.#last };
    const { found = null } = this.#request;
    // A server that was away may have come back with another log.
    const start =
      found !== null && !isAgain
        ? { after: found, first: null }
        : await findStart(this.#request, client, at);
    if (signal.aborted) return;
    const feed = streams.follow(client, start.after);
    try {
      while (!feed.isConfirmed) {
        if (feed.isEnded) throw new FlowEnded('the server ended the subscription');
        if (signal.aborted) return;
        await feed.wait(signal, connection.limits.callMs);
      }
      connection.answered();
      if (isAgain) yield { _tag: 'reconnected', next: this.next };
      await this.#takeIn(client, start.first);
      yield* this.#fed(client, feed, tries);
    } finally {
      await feed.release();
    }
  }

  async *#fed(
    client: LogClient,
    feed: Feed<AllStreamResolvedEvent>,
    tries: Tries,
  ): AsyncGenerator<LogSignal> {
    const { signal, head } = this.#request;
    while (!this.#isOver) {
      const isEnd = feed.isCaughtUp && !this.isCaughtUp;
      const resolved = isEnd ? null : await this.#next(feed);
      if (resolved !== null) {
        tries.progressed();
        await this.#takeIn(client, placedOf(resolved));
      }
      if (this.#batch.isFull || (resolved === null && !this.#batch.isEmpty)) yield this.#items();
      else if (isEnd) {
        this.isCaughtUp = true;
        tries.progressed();
        if (head > this.next) this.next = head;
        yield { _tag: 'caughtUp', next: this.next };
      } else if (resolved === null) {
        if (feed.isEnded) throw new FlowEnded('the server ended the subscription');
        await feed.wait(signal);
      }
    }
    if (!this.#batch.isEmpty) yield this.#items();
  }
}

/** Follows; `reconnected` comes when a connection that was lost stands again. */
export async function* follow(request: FollowRequest): AsyncGenerator<LogSignal> {
  const { connection, signal, giveUpAfterMs } = request;
  const following = new Following(request);
  const operation = request.bound === null ? 'following the log' : 'reading the log';
  const tries = new Tries(connection, { operation, giveUpAfterMs, signal });
  for (let isAgain = false; !signal.aborted; isAgain = true) {
    const { client } = connection;
    try {
      yield* following.connected(client, { tries, isAgain });
      return;
    } catch (thrown) {
      await tries.failed(client, thrown);
    }
  }
}
