// Sets of pages, as ranges of numbers that follow each other. All of it is linear in the ranges.

import type { CaptureRanges } from './capture-ranges.ts';

/** First and last page, both included; ascending, and never two that touch. */
export type PageRanges = CaptureRanges;

export const NO_PAGES: PageRanges = [];

/** How many pages there are in ranges. */
export const pagesIn = (ranges: PageRanges): number =>
  ranges.reduce((pages, [first, last]) => pages + last - first + 1, 0);

/** The pages that are in both. */
export function intersectionOf(a: PageRanges, b: PageRanges): PageRanges {
  const both: (readonly [number, number])[] = [];
  for (let i = 0, j = 0; i < a.length && j < b.length;) {
    const [one, other] = [a[i]!, b[j]!];
    const first = Math.max(one[0], other[0]);
    const last = Math.min(one[1], other[1]);
    if (first <= last) both.push([first, last]);
    if (one[1] <= other[1]) i += 1;
    else j += 1;
  }
  return both;
}

/** The pages of the first that are not in the second. */
export function differenceOf(a: PageRanges, b: PageRanges): PageRanges {
  const left: (readonly [number, number])[] = [];
  let j = 0;
  for (const [first, last] of a) {
    let from = first;
    while (j < b.length && b[j]![1] < first) j += 1;
    for (let k = j; k < b.length && b[k]![0] <= last; k += 1) {
      const [out, until] = b[k]!;
      if (out > from) left.push([from, out - 1]);
      from = until + 1;
    }
    if (from <= last) left.push([from, last]);
  }
  return left;
}

/** The places of a column that have a value, in ranges, from a number on. */
export function rangesWhere(column: Uint8Array, value: number, from = 0): PageRanges {
  const ranges: [number, number][] = [];
  for (let page = 0; page < column.length; page += 1) {
    if (column[page] !== value) continue;
    const open = ranges.at(-1);
    if (open !== undefined && open[1] === from + page - 1) open[1] += 1;
    else ranges.push([from + page, from + page]);
  }
  return ranges;
}
