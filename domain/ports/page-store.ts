// The page store as the domain asks for it: whole packs in, ranges out.

import type { TaskEither } from 'fp-ts/lib/TaskEither.js';
import type { LedgerError } from '../values/ledger-error.ts';
import type { EventMark } from './event-log.ts';

export interface PackEntry {
  readonly name: string;
  readonly sizeBytes: number;
  /** Milliseconds since 1970, by the clock of where the pack lies. */
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
  /** What a pack would bear as `writtenAtMs` that were written now, whatever this host's clock says. */
  now(): TaskEither<LedgerError, number>;
  /** Which event the log must have, as packs were deleted by what it and those before it say. */
  marks(): TaskEither<LedgerError, readonly EventMark[]>;
  /** Puts a mark, durable when it returns, in the place of those there. Before packs are deleted. */
  putMark(mark: EventMark): TaskEither<LedgerError, void>;
  /** Forgets what is kept of a pack nearer than where it lies; absent: nothing is. */
  readonly drop?: (name: string) => Promise<void>;
}
