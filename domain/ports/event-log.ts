// The event log as the domain asks for it. Ports are defined here, by their consumer; adapters implement
// them. One-shot operations are TaskEither, flows are AsyncIterable (which release what they hold on an
// early return). Nothing here names a file, a socket or a server.

import type { TaskEither } from 'fp-ts/lib/TaskEither.js';
import { toHex } from '../values/identifier.ts';
import { LedgerError } from '../values/ledger-error.ts';

/** A place in the log: opaque, ordered; every event's is greater than those before. Embedded: bytes; EventStoreDB: commit. */
export type Position = bigint & { readonly _brand?: 'position' };

/** Expected revision of a stream that has no event yet. */
export const NO_STREAM = -1;

/** An event about to be appended. `id` is 16 bytes, kept through every retry of the same append. */
export interface NewEvent {
  readonly id: Uint8Array;
  readonly type: string;
  readonly schema: number;
  /** Milliseconds since 1970 by the recorder's clock. */
  readonly timeMs: number;
  readonly data: Uint8Array;
}

/** An event as the log gives it back. `data` stays valid after the next one is read. */
export interface StoredEvent extends NewEvent {
  readonly position: Position;
  readonly stream: string;
  /** Number inside the stream, from 0, without gaps. */
  readonly revision: number;
}

/**
 * An event by what no other one has, and its place: tells the log that it was read from apart from
 * another past of it, one that was put back from a copy or lost its end, and was written on since.
 */
export interface EventMark {
  readonly position: Position;
  /** Hex of the event's id; its first digits do where room counts. */
  readonly id: string;
}

/** A stretch of the log that cannot be read. Unknown stream or revisions are null. */
export interface LogDamage {
  readonly position: Position;
  readonly lengthBytes: number;
  readonly stream: string | null;
  /** The missing revisions, first and last, where they are known. */
  readonly revisions: readonly [number, number] | null;
  /** What was found and expected, as a sentence. */
  readonly reason: string;
}

/** What a reader of the log receives, in log order. */
export type LogItem =
  | { readonly _tag: 'event'; readonly event: StoredEvent }
  | { readonly _tag: 'damage'; readonly damage: LogDamage };

/** A stretch of the log: its items, and where reading goes on after them. */
export interface LogChunk {
  readonly items: readonly LogItem[];
  readonly next: Position;
}

/** What a subscriber receives: items, and control messages in band, never ahead of the items. */
export type LogSignal =
  | { readonly _tag: 'items'; readonly items: readonly LogItem[]; readonly next: Position }
  | { readonly _tag: 'caughtUp'; readonly next: Position }
  | { readonly _tag: 'reconnected'; readonly next: Position };

export interface AppendRequest {
  readonly stream: string;
  /** The exact revision of the stream's last event, or NO_STREAM. There is no "any". */
  readonly expectedRevision: number;
  /** At least one; each at most EVENT_BYTES_MAX of data, all together at most APPEND_BYTES_MAX. */
  readonly events: readonly NewEvent[];
}

export interface Appended {
  /** Position and revision of the last event of the append. */
  readonly position: Position;
  readonly revision: number;
}

/** Where reading starts: `next` of an earlier read, or a position of an event (included). */
export interface ReadRange {
  readonly from: Position;
  /** Events at or after this position are not read; absent: the log's end when reading starts. */
  readonly until?: Position;
  /** What was read last before `from`: LOG_REPLACED where the log does not have it there. Null: nothing. */
  readonly after?: EventMark | null;
  /** A place that the log has reached, as it said: one that would have to ask for its end may take it for that. */
  readonly reached?: Position | undefined;
}

/** The mark of an event. */
export const markOf = ({ position, id }: StoredEvent): EventMark => ({ position, id: toHex(id) });

/** Whether that is the event that a mark was made of. */
export const isMarked = ({ position, id }: EventMark, event: StoredEvent): boolean =>
  event.position === position && toHex(event.id).startsWith(id);

/** The failure of a log that does not have what was read of it; `where` is the log's place. */
export const logReplaced = (where: string, position: Position): LedgerError =>
  new LedgerError(
    'LOG_REPLACED',
    `${where} does not have the event that was read at position ${position} before: it was put back from a copy, or lost its end, and perhaps was written on since; run this again, and what is derived is made anew`,
    { place: where, position },
  );

export interface StreamRange {
  readonly stream: string;
  readonly fromRevision: number;
  readonly count: number;
  /** Position of `fromRevision`'s event: lets a log without an index of streams start there. */
  readonly fromPosition: Position;
  /** The events' data need be valid only until the next chunk is asked for; absent: for as long as held. */
  readonly arePassing?: boolean;
}

/**
 * The event log. Appends are atomic, durable when they return, and retried with the same ids they
 * give the same answer. Events of one stream have one writer; the exact expected revision arbitrates
 * (REVISION_CONFLICT). Order over all streams is total and the same for every reader.
 */
export interface EventLog {
  append(request: AppendRequest): TaskEither<LedgerError, Appended>;
  /** Items in log order, in chunks; at least one chunk, so that `next` is known. */
  read(range: ReadRange): AsyncIterable<LogChunk>;
  /** Events of one stream, in order; a missing one is LOG_DAMAGED. */
  readStream(range: StreamRange): AsyncIterable<readonly StoredEvent[]>;
  /** Replay from `from`, then live until `signal` aborts. Bounded buffering: a slow consumer slows the reader. */
  subscribe(request: {
    readonly from: Position;
    /** As of `read`; a log that is put back while it is followed is LOG_REPLACED too. */
    readonly after?: EventMark | null;
    readonly signal: AbortSignal;
  }): AsyncIterable<LogSignal>;
  /**
   * The place after the last event now: what `from` is for a reader who wants only what comes.
   * LOG_REPLACED where the log ends without an event that was read; where it has grown since, perhaps
   * only whoever reads on finds that out.
   */
  head(after?: EventMark | null): TaskEither<LedgerError, Position>;
  /** The revision of a stream's last event, or NO_STREAM. */
  streamRevision(stream: string): TaskEither<LedgerError, number>;
  /** A stream's last event; null: it has none, or none that was not let go. */
  last(stream: string): TaskEither<LedgerError, StoredEvent | null>;
  /**
   * Lets go of the beginnings of streams: events before these revisions need not be there any more, in
   * whole appends, as far as the store gives room back. Whoever reads on before the last that went may
   * be given some of them, or none, or LOG_REPLACED. What stays keeps its position and its revision, and
   * a stream goes on as it would have. Killed at any instant, what is to stay is there.
   */
  cut(firstKept: ReadonlyMap<string, number>): TaskEither<LedgerError, void>;
  close(): Promise<void>;
}

/** The event of a stream at a revision; null: it is not there. */
export async function eventAt(
  log: EventLog,
  range: Omit<StreamRange, 'count'>,
): Promise<StoredEvent | null> {
  for await (const [event] of log.readStream({ ...range, count: 1 }))
    if (event !== undefined) return event;
  return null;
}
