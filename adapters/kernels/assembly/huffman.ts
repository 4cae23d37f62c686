// The second half of packing a block of pages (docs/format.md, "Packed pages"): a stream of bytes as
// Huffman codes of at most eleven bits. The codes are those of a fixed collection (code-tables.ts), so
// that none is made or sent for a block; where a stream is unlike all of them, a table of its own
// goes before it (huffman-tables.ts). A long stream is cut into four lanes (huffman-lanes.ts).
//
// Nothing here trusts what it reads: lengths are compared with what is at hand before they are used.

import { LANES_FROM, putLanes, takeLane, takeLanes } from './huffman-lanes';
import { bitsWith, choose, count, leastBits, makeTable } from './huffman-tables';
import { codesOf, entriesOf, OWN, putTable, takeTable } from './huffman-tables';

/** Shorter streams are not coded. */
const CODED_FROM: u32 = 16;
/** Of streams longer than this, one byte in four is counted to choose a table. */
const COUNTED_WHOLE: u32 = 2048;
/** A table is made for streams at least so long, */
const OWN_FROM: u32 = 2048;
/** where beside its own bytes, about, */
const OWN_BYTES: u32 = 128;
/** it saves this share (as a shift) of the stream's: it costs time, also to who reads it. */
const OWN_SHIFT: u32 = 4;

/** How the stream that was put last stands there: by a table of its set, `raw` - 1 or `raw`. */
export let mode: u32 = 0;

/**
 * Puts the `n` bytes at `from`: as codes where these save n >> shift bytes (0: never), else as they
 * are. `tables` tables from `first` on may be used. Returns where they end and leaves in `mode` how
 * they stand there: a table's number among these, raw - 1 for one that is sent, `raw` for none.
 */
export function putStream(
  from: usize,
  n: u32,
  first: u32,
  tables: u32,
  raw: u32,
  shift: u32,
  out: usize,
): usize {
  if (n >= CODED_FROM && shift > 0) {
    const step: u32 = n > COUNTED_WHOLE ? 4 : 1;
    count(from, n, step);
    const choice = choose(first, tables);
    const fixedBytes = (<u32>(choice >> 8) * step) >> 3;
    let table = (<u32>choice) & 0xff;
    let bytes = fixedBytes;
    let to = out;
    const otherwise = fixedBytes + (n >> shift) < n ? fixedBytes : n;
    if (n >= OWN_FROM && ((leastBits() * step) >> 3) + OWN_BYTES + (n >> OWN_SHIFT) < otherwise) {
      if (step != 1) count(from, n, 1);
      makeTable(n);
      table = OWN;
      to = putTable(out);
      bytes = (bitsWith(OWN) >> 3) + <u32>(to - out);
    }
    if (bytes + (n >> shift) < n) {
      to = putLanes(from, n, codesOf(table), to);
      if (<u32>(to - out) < n) {
        mode = table == OWN ? raw - 1 : table - first;
        return to;
      }
    }
  }
  mode = raw;
  memory.copy(out, from, n);
  return out + n;
}

/**
 * The inverse of putStream: `n` bytes, which stand between `from` and `end` as `how` says, to `out`.
 * Returns where they end, 0 where they are damaged.
 */
export function takeStream(
  from: usize,
  end: usize,
  n: u32,
  first: u32,
  tables: u32,
  raw: u32,
  how: u32,
  out: usize,
): usize {
  if (how == raw) {
    if (<usize>n > end - from) return 0;
    memory.copy(out, from, n);
    return from + n;
  }
  let at = from;
  let table = first + how;
  if (how == raw - 1) {
    table = OWN;
    at = takeTable(from, end);
    if (at == 0) return 0;
  } else if (how >= tables) return 0;
  const entriesAt = entriesOf(table);
  return n < LANES_FROM
    ? takeLane(at, end, n, entriesAt, out)
    : takeLanes(at, end, n, entriesAt, out);
}
