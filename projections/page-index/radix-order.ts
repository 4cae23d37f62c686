// Sorting rows by a column of numbers: the order of the rows, not the rows. A radix sort, since a
// comparison a step costs more than everything else that is done with a row. Keys move along with the
// rows' numbers, so that both are read one after the other.

import type { Workspace } from './workspace.ts';

const DIGIT_BITS = 11;
const DIGITS = 3;
const BUCKETS = 2 ** DIGIT_BITS;

/** Rows with their keys. */
interface Keyed {
  readonly keys: Uint32Array;
  readonly rows: Uint32Array;
}

/** One digit of the keys: stable. False: it tells no rows apart, and nothing was moved. */
function pass(from: Keyed, to: Keyed, shift: number): boolean {
  const { keys, rows } = from;
  const { keys: toKeys, rows: toRows } = to;
  const starts = new Uint32Array(BUCKETS);
  for (let i = 0; i < keys.length; i += 1) starts[(keys[i]! >>> shift) & (BUCKETS - 1)]! += 1;
  let at = 0;
  for (let bucket = 0; bucket < BUCKETS; bucket += 1) {
    const count = starts[bucket]!;
    if (count === keys.length) return false;
    starts[bucket] = at;
    at += count;
  }
  for (let i = 0; i < keys.length; i += 1) {
    const key = keys[i]!;
    const bucket = (key >>> shift) & (BUCKETS - 1);
    const place = starts[bucket]!;
    starts[bucket] = place + 1;
    toKeys[place] = key;
    toRows[place] = rows[i]!;
  }
  return true;
}

/**
 * Row numbers ordered by their keys, rows of equal keys as they are; valid until the next are asked for
 * in this space. The keys are overwritten. O(rows).
 */
export function orderedBy(keys: Uint32Array, space: Workspace): Uint32Array {
  let from: Keyed = { keys, rows: space.words('rows', keys.length) };
  let to: Keyed = {
    keys: space.words('keys moved', keys.length),
    rows: space.words('rows moved', keys.length),
  };
  for (let row = 0; row < keys.length; row += 1) from.rows[row] = row;
  for (let digit = 0; digit < DIGITS; digit += 1)
    if (pass(from, to, digit * DIGIT_BITS)) [from, to] = [to, from];
  return from.rows;
}
