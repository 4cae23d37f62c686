// Periods of byte strings, by the failure function of Knuth, Morris and Pratt: linear in time, so that
// no guest's bytes make a search slow.

/** For each prefix, the length of its longest border: what both begins and ends it, short of all of it. */
function borders(bytes: Uint8Array): Uint16Array {
  const lengths = new Uint16Array(bytes.length);
  let length = 0;
  for (let i = 1; i < bytes.length; i += 1) {
    while (length > 0 && bytes[i] !== bytes[length]) length = lengths[length - 1]!;
    if (bytes[i] === bytes[length]) length += 1;
    lengths[i] = length;
  }
  return lengths;
}

/** The least p above 0 for which byte i is byte i - p wherever both are; the length where none is. */
export const shortestPeriod = (bytes: Uint8Array): number =>
  bytes.length - (borders(bytes).at(-1) ?? 0);

/** The shortest string that gives the whole one when it is repeated a whole number of times. */
export function primitiveUnit(bytes: Uint8Array): Uint8Array {
  const period = shortestPeriod(bytes);
  return bytes.length % period === 0 ? bytes.subarray(0, period) : bytes;
}

/** Where `unit` first occurs in `bytes`, or -1. O(length of both). */
export function offsetOf(unit: Uint8Array, bytes: Uint8Array): number {
  const lengths = borders(unit);
  let matched = 0;
  for (let i = 0; i < bytes.length; i += 1) {
    while (matched > 0 && bytes[i] !== unit[matched]) matched = lengths[matched - 1]!;
    if (bytes[i] === unit[matched]) matched += 1;
    if (matched === unit.length) return i + 1 - unit.length;
  }
  return -1;
}

/** Whether one string is the other, begun elsewhere: repeated, they fill pages alike. */
export function isRotation(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  const twice = new Uint8Array(2 * a.length);
  twice.set(a, 0);
  twice.set(a, a.length);
  return offsetOf(b, twice) >= 0;
}
