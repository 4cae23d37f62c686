// Sets of capture numbers, as ranges of numbers that follow each other: what is forgotten of a history
// of any length is few of them.

import { lastWhere } from './sorted-search.ts';

/** First and last number, both included; ascending, and never two that touch. */
export type CaptureRanges = readonly (readonly [number, number])[];

/** Whether a number is in one of them. O(log ranges). */
export function isInRanges(ranges: CaptureRanges, capture: number): boolean {
  const range = ranges[lastWhere(ranges.length, (i) => ranges[i]![0] <= capture)];
  return range !== undefined && capture <= range[1];
}

/** The ranges of numbers in any order, each perhaps more than once. */
export const rangesOf = (captures: Iterable<number>): CaptureRanges =>
  unionOf(
    [],
    Array.from(captures, (capture) => [capture, capture] as const),
  );

/** All numbers that are in either. O(n log n). */
export function unionOf(a: CaptureRanges, b: CaptureRanges): CaptureRanges {
  const all = [...a, ...b].toSorted((one, other) => one[0] - other[0]);
  const union: [number, number][] = [];
  for (const [first, last] of all) {
    const open = union.at(-1);
    if (open !== undefined && first <= open[1] + 1) open[1] = Math.max(open[1], last);
    else union.push([first, last]);
  }
  return union;
}

/** Ranges without some numbers. O(ranges + numbers). */
export function withoutCaptures(ranges: CaptureRanges, captures: Iterable<number>): CaptureRanges {
  const out = [...new Set(captures)].toSorted((one, other) => one - other);
  return ranges.flatMap(([first, last]) => {
    const left: [number, number][] = [];
    let from = first;
    for (const capture of out) {
      if (capture < from || capture > last) continue;
      if (capture > from) left.push([from, capture - 1]);
      from = capture + 1;
    }
    if (from <= last) left.push([from, last]);
    return left;
  });
}

/** Whether ranges ascend and never touch. */
export const areRanges = (ranges: CaptureRanges): boolean =>
  ranges.every(([first, last], i) => first <= last && (i === 0 || first > ranges[i - 1]![1] + 1));
