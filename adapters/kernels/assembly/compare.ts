// Which pages changed: two columns of fingerprints compared row by row.

const ROW_BYTES: usize = 24;

/**
 * Writes the numbers (u32, ascending) of the rows in which the columns `previous` and `next` differ
 * to `out`, and returns how many there are.
 */
export function changedRows(previous: usize, next: usize, rows: u32, out: usize): u32 {
  let changed: u32 = 0;
  for (let row: u32 = 0; row < rows; row += 1) {
    const at = <usize>row * ROW_BYTES;
    const a = load<u64>(previous + at) ^ load<u64>(next + at);
    const b = load<u64>(previous + at, 8) ^ load<u64>(next + at, 8);
    const c = load<u64>(previous + at, 16) ^ load<u64>(next + at, 16);
    // Written always and kept only if it differs: no branch to mispredict.
    store<u32>(out + ((<usize>changed) << 2), row);
    changed += u32((a | b | c) != 0);
  }
  return changed;
}
