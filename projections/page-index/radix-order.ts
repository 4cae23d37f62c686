// Sorting rows by a column of numbers: the order of the rows, not the rows. A radix sort, since a
// comparison a step costs more than everything else that is done with a row.

const DIGIT_BITS = 11;
const DIGITS = 3;
const BUCKETS = 2 ** DIGIT_BITS;

/** The rows `0..count-1` in the order they have. */
export function rowsInOrder(count: number): Uint32Array {
  const order = new Uint32Array(count);
  for (let i = 0; i < count; i += 1) order[i] = i;
  return order;
}

/** One digit of the keys: stable. */
function pass(keys: Uint32Array, from: Uint32Array, to: Uint32Array, shift: number): boolean {
  const starts = new Uint32Array(BUCKETS);
  for (let i = 0; i < from.length; i += 1)
    starts[(keys[from[i]!]! >>> shift) & (BUCKETS - 1)]! += 1;
  let at = 0;
  for (let bucket = 0; bucket < BUCKETS; bucket += 1) {
    const count = starts[bucket]!;
    // All in one bucket: this digit tells no rows apart.
    if (count === from.length) return false;
    starts[bucket] = at;
    at += count;
  }
  for (let i = 0; i < from.length; i += 1) {
    const row = from[i]!;
    const bucket = (keys[row]! >>> shift) & (BUCKETS - 1);
    to[starts[bucket]!] = row;
    starts[bucket]! += 1;
  }
  return true;
}

/** Row numbers ordered by their keys; rows of equal keys stay as they were in `order`. O(rows). */
export function orderedBy(keys: Uint32Array, order: Uint32Array): Uint32Array {
  let from = order;
  let to: Uint32Array = new Uint32Array(order.length);
  for (let digit = 0; digit < DIGITS; digit += 1) {
    if (!pass(keys, from, to, digit * DIGIT_BITS)) continue;
    const spare = from === order ? new Uint32Array(order.length) : from;
    from = to;
    to = spare;
  }
  return from;
}
