// Where the pieces of a memory lie in its file, as threads are told it.

import type { ImagePieces } from '../../../domain/ports/guests.ts';

/** A piece of memory: its first page, and where that lies (ImagePieces). */
export interface Piece {
  readonly page: number;
  readonly offset: number;
}

const sharedNumbers = (numbers: readonly number[]): Float64Array => {
  const shared = new Float64Array(new SharedArrayBuffer(numbers.length * 8));
  shared.set(numbers);
  return shared;
};

/** Pieces in ascending order from page 0 on, and the pages that the file does not hold as a whole. */
export function piecesOf(pieces: readonly Piece[], loose = new Uint8Array(0)): ImagePieces {
  const kept = new Uint8Array(new SharedArrayBuffer(loose.length));
  kept.set(loose);
  return {
    pages: sharedNumbers(pieces.map(({ page }) => page)),
    offsets: sharedNumbers(pieces.map(({ offset }) => offset)),
    loose: kept,
  };
}
