// Looking things up in what is in order.

/**
 * The last of `count` numbers from 0 for which something holds that holds up to one of them and for
 * none after it; -1: for none. O(log count).
 */
export function lastWhere(count: number, holds: (number: number) => boolean): number {
  let low = -1;
  let high = count - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (holds(middle)) low = middle;
    else high = middle - 1;
  }
  return low;
}
