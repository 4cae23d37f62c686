// The columns of page events as they are in memory, whatever the schema of the event that carries them.

import * as either from 'fp-ts/lib/Either.js';
import type { Either } from 'fp-ts/lib/Either.js';
import { CLASS_UNTOLD } from '../ports/page-engine.ts';
import { LedgerError } from '../values/ledger-error.ts';
import { BATCH_ROWS_MAX, EVENT_BYTES_MAX } from '../values/page.ts';

export const KIND_ZERO = 0;
export const KIND_STORED = 1;
export const KIND_MERGED = 2;
export const KIND_PATTERN = 3;
export const KIND_MASK = 0x03;
/** Bit of a kind: the write broke a sharing. */
export const KIND_BROKE = 0x80;
/** Bits of a kind that hold the class of a pattern; zero for any other page. */
export const KIND_CLASS = 0x7c;
const KIND_CLASS_SHIFT = 2;

/** Kind of a page that a pattern of this class describes. */
export const patternKind = (patternClass: number): number =>
  KIND_PATTERN | (patternClass << KIND_CLASS_SHIFT);
/** Kind of a page of which the source did not tell what it held (UNTOLD); it refers to that number. */
export const KIND_UNTOLD = patternKind(CLASS_UNTOLD);
/** Whether a row says so. */
export const isUntoldKind = (kind: number): boolean => (kind & ~KIND_BROKE) === KIND_UNTOLD;
/** Class of the pattern that a row of kind KIND_PATTERN holds. */
export const classOfKind = (kind: number): number => (kind & KIND_CLASS) >>> KIND_CLASS_SHIFT;

export const HEADER_BYTES = 32;
export const NAME_BYTES = 32;
/** Most bytes a row can take beside a pack's name: kind, gfn, pack index, slot. */
export const ROW_BYTES_MAX = 1 + 5 + 3 + 2;
/** Parts of a device state: stream head, device sections, description. */
export const PARTS_MAX = 16;

/** Decoded columns. `packIndexes` and `slots` have a row each, also where the kind has no reference. */
export interface PageColumns {
  readonly capture: number;
  readonly batch: number;
  readonly firstRow: number;
  readonly parts: readonly number[];
  /** Names of packs in lower-case hex. A pack index of their number means the public patterns. */
  readonly packs: readonly string[];
  readonly kinds: Uint8Array;
  readonly gfns: Uint32Array;
  readonly packIndexes: Uint16Array;
  readonly slots: Uint16Array;
}

/** Whether rows of a kind refer to a slot of a pack, or to a public pattern. */
export const hasReference = (kind: number): boolean => (kind & KIND_MASK) !== KIND_ZERO;
/** Whether rows of a kind hold a content. */
export const holdsContent = (kind: number): boolean => {
  const outcome = kind & KIND_MASK;
  return outcome === KIND_STORED || outcome === KIND_MERGED;
};

/** Bytes that so many rows and packs take at most. */
export const bytesMax = (batch: { readonly rows: number; readonly packs: number }): number =>
  HEADER_BYTES + PARTS_MAX * 4 + batch.rows * ROW_BYTES_MAX + batch.packs * NAME_BYTES;

/** Whether a batch of this many rows and packs surely fits one event. */
export const fitsEvent = (batch: { readonly rows: number; readonly packs: number }): boolean =>
  batch.rows <= BATCH_ROWS_MAX && bytesMax(batch) <= EVENT_BYTES_MAX;

/** The failure of an event that is none. */
export function malformed(why: string): Either<LedgerError, never> {
  return either.left(
    new LedgerError(
      'EVENT_INVALID',
      `a batch of page events is malformed: ${why}; run \`pageledger verify\``,
      {
        found: why,
      },
    ),
  );
}
