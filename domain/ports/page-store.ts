// The page store as the domain asks for it: whole packs in, ranges out.

import type { TaskEither } from 'fp-ts/lib/TaskEither.js';
import { isLedgerError, type LedgerError } from '../values/ledger-error.ts';
import type { EventMark } from './event-log.ts';
import type { MemoryFile } from './guests.ts';

export interface PackEntry {
  readonly name: string;
  readonly sizeBytes: number;
  /** Milliseconds since 1970, by the clock of where the pack lies. */
  readonly writtenAtMs: number;
}

/** Whether a failure says that bytes of a pack are missing, or others than were written. */
export const isPackLost = (thrown: unknown): thrown is LedgerError =>
  isLedgerError(thrown) && (thrown.code === 'PACK_MISSING' || thrown.code === 'PACK_DAMAGED');

/** Whether a failure is of one pack: its bytes are lost, or nobody can tell as they are not given. */
export const isOfPack = (thrown: unknown): thrown is LedgerError =>
  isPackLost(thrown) || (isLedgerError(thrown) && thrown.code === 'PACK_UNREADABLE');

/** How long what a store said of a pack after it took it counts: half of what nobody names is left for. */
export const LOOK_COUNTS_MS = 12 * 3_600_000;

/** Whether these bytes of a pack are nearer than where it lies. */
export type PacksAtHand = (range: {
  readonly name: string;
  readonly offsetBytes: number;
  readonly endBytes: number;
}) => boolean;

/**
 * The page store: packs, immutable, named by the SHA-256 (lower-case hex) of their bytes. A put is
 * durable when it returns and may be repeated. There is no append.
 */
export interface PageStore {
  put(pack: { readonly name: string; readonly bytes: Uint8Array }): TaskEither<LedgerError, void>;
  /**
   * Puts what can be read of a pack that cannot be had whole, under its name: `bytes` are not as many as
   * the pack's, so that nobody takes it for whole. A put of the pack takes its place.
   */
  putPart(part: {
    readonly name: string;
    readonly bytes: Uint8Array;
  }): TaskEither<LedgerError, void>;
  /** Exactly `lengthBytes` bytes from `offsetBytes`; PACK_MISSING, PACK_DAMAGED (too short), PACK_UNREADABLE. */
  get(range: {
    readonly name: string;
    readonly offsetBytes: number;
    readonly lengthBytes: number;
  }): TaskEither<LedgerError, Uint8Array>;
  /**
   * A pack as a file, opened where it is read: what cannot be read there is asked of `get`. Absent: packs
   * lie in no files.
   */
  readonly fileOf?: (name: string) => MemoryFile;
  list(): AsyncIterable<PackEntry>;
  delete(name: string): TaskEither<LedgerError, void>;
  /**
   * Whether a pack that was put is there still, whole: asked before an event that refers to it counts. A
   * store that looked after it took the pack may go by that, for at most LOOK_COUNTS_MS.
   */
  has(pack: Pick<PackEntry, 'name' | 'sizeBytes'>): TaskEither<LedgerError, boolean>;
  /** What a pack would bear as `writtenAtMs` that were written now, whatever this host's clock says. */
  now(): TaskEither<LedgerError, number>;
  /** Which event the log must have, as packs were deleted by what it and those before it say. */
  marks(): TaskEither<LedgerError, readonly EventMark[]>;
  /** Puts a mark, durable when it returns, in the place of those there. Before packs are deleted. */
  putMark(mark: EventMark): TaskEither<LedgerError, void>;
  /** Forgets what is kept of a pack nearer than where it lies; absent: nothing is. */
  readonly drop?: (name: string) => Promise<void>;
  /** What is kept of packs nearer than where they lie, as of now; absent: they lie here. */
  readonly atHand?: () => Promise<PacksAtHand>;
}
