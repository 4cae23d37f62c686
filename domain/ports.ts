// What the domain asks of the world. Ports are defined here, by their consumer; adapters implement
// them. One-shot operations are TaskEither, flows are AsyncIterable (which release what they hold on
// an early return). Nothing here names a file, a socket or a server.

import type { TaskEither } from 'fp-ts/lib/TaskEither.js';
import type { LedgerError } from './ledger-error.ts';

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
}

export interface StreamRange {
  readonly stream: string;
  readonly fromRevision: number;
  readonly count: number;
  /** Position of `fromRevision`'s event: lets a log without an index of streams start there. */
  readonly fromPosition: Position;
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
    readonly signal: AbortSignal;
  }): AsyncIterable<LogSignal>;
  /** The place after the last event now: what `from` is for a reader who wants only what comes. */
  head(): TaskEither<LedgerError, Position>;
  /** The revision of a stream's last event, or NO_STREAM. */
  streamRevision(stream: string): TaskEither<LedgerError, number>;
  close(): Promise<void>;
}

/** A finding of a check. */
export interface Finding {
  readonly kind: string;
  /** The file, object or event, with offset. */
  readonly where: string;
  /** What was found and what was expected. */
  readonly reason: string;
  /** The VMs and points that cannot be restored for it, as `vm@N` or `vm@N..M`. */
  readonly affects: readonly string[];
  /** The stream that events are missing from, where it is about that. */
  readonly stream?: string | null;
}

export interface PackEntry {
  readonly name: string;
  readonly sizeBytes: number;
  /** Milliseconds since 1970. */
  readonly writtenAtMs: number;
}

/**
 * The page store: packs, immutable, named by the SHA-256 (lower-case hex) of their bytes. A put is
 * durable when it returns and may be repeated. There is no append.
 */
export interface PageStore {
  put(pack: { readonly name: string; readonly bytes: Uint8Array }): TaskEither<LedgerError, void>;
  /** Exactly `lengthBytes` bytes from `offsetBytes`; PACK_MISSING or PACK_DAMAGED (too short). */
  get(range: {
    readonly name: string;
    readonly offsetBytes: number;
    readonly lengthBytes: number;
  }): TaskEither<LedgerError, Uint8Array>;
  list(): AsyncIterable<PackEntry>;
  delete(name: string): TaskEither<LedgerError, void>;
  /** Forgets what is kept of a pack nearer than where it lies; absent: nothing is. */
  readonly drop?: (name: string) => Promise<void>;
}

/** Derived state, named; may vanish at any time. `save` replaces whole and atomically. */
export interface StateFiles {
  /** The bytes last saved under the name, or null: absent, damaged, or of another format. */
  load(name: string): Promise<Uint8Array | null>;
  /** Failures are not errors: what is derived can be derived again. */
  save(name: string, bytes: Uint8Array): Promise<void>;
  list(prefix: string): Promise<readonly string[]>;
  drop(name: string): Promise<void>;
}

/** Most bytes of a block in a block file. */
export const FILE_BLOCK_BYTES = 16 * 1024 - 4;

/** A block file that is open. */
export interface BlockFile {
  readonly count: number;
  /** FILE_BLOCK_BYTES bytes, zeros after what was saved; null: the block is damaged or gone. */
  read(number: number): Promise<Uint8Array | null>;
  close(): Promise<void>;
}

/**
 * Derived state that is read in parts: files of blocks, each with a checksum of its own. They lie
 * among the state files, which list and drop them, and may vanish at any time.
 */
export interface BlockFiles {
  /**
   * Replaces the file whole and atomically, its blocks taken as they come. False: it is not kept.
   * Rejects with what the blocks themselves reject with.
   */
  save(name: string, blocks: AsyncIterable<Uint8Array>): Promise<boolean>;
  /** The file last saved under the name; null: absent, or of another length than blocks have. */
  open(name: string): Promise<BlockFile | null>;
}

/** Milliseconds since 1970. */
export type Clock = () => number;
