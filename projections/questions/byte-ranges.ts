// Where the bytes of two pages differ: ranges, those close to each other as one, since a person reads
// one longer range more easily than two with a few equal bytes between, and a program has less to do.

/** Equal bytes between two differences that are told as part of one range. */
const GAP_BYTES_MAX = 7;

export interface ByteRange {
  readonly offset: number;
  readonly before: Uint8Array;
  readonly after: Uint8Array;
}

/** The ranges in which pages of one length differ, ascending. Views into the pages. */
export function differingRanges(before: Uint8Array, after: Uint8Array): ByteRange[] {
  const ranges: ByteRange[] = [];
  const add = (offset: number, end: number): void => {
    ranges.push({
      offset,
      before: before.subarray(offset, end),
      after: after.subarray(offset, end),
    });
  };
  let start = -1;
  let end = 0;
  for (let i = 0; i < before.length; i += 1) {
    if (before[i] === after[i]) continue;
    if (start >= 0 && i - end > GAP_BYTES_MAX) {
      add(start, end);
      start = -1;
    }
    if (start < 0) start = i;
    end = i + 1;
  }
  if (start >= 0) add(start, end);
  return ranges;
}
