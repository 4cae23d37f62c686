// Codecs of the numbers that stand in events of JSON: counts, captures, pages, instants, and ranges of them.

import * as t from 'io-ts';
import { areRanges } from '../values/capture-ranges.ts';
import { VM_PAGES_MAX } from '../values/page.ts';

/** The largest number of a capture. */
const CAPTURE_MAX = 2 ** 32 - 1;
/** The farthest instant from 1970 that a calendar date exists for, in milliseconds. */
const TIME_MS_MAX = 8.64e15;

/** A whole number from 0 that JavaScript holds exactly. */
const isCount = (u: unknown): u is number => Number.isSafeInteger(u) && Number(u) >= 0;
export const count = new t.Type<number>(
  'count',
  isCount,
  (u, context) => (isCount(u) ? t.success(u) : t.failure(u, context)),
  t.identity,
);
export const pageCount = t.refinement(count, (n) => n <= VM_PAGES_MAX, 'pageCount');
/** Numbers of captures stand in 32 bits of the columns. */
export const capture = t.refinement(count, (n) => n >= 1 && n <= CAPTURE_MAX, 'capture');
/** JSON can write 1e999, which reads as infinity and is no instant that a calendar knows. */
export const timeMs = t.refinement(t.number, (ms) => Math.abs(ms) <= TIME_MS_MAX, 'timeMs');
export const durationMs = t.refinement(timeMs, (ms) => ms >= 0, 'durationMs');
/** Captures, in ranges. */
export const captureRanges = t.refinement(
  t.readonlyArray(t.readonly(t.tuple([capture, capture]))),
  areRanges,
  'captureRanges',
);
/** Numbers of pages, in ranges. */
export const pageRanges = t.refinement(
  t.readonlyArray(t.readonly(t.tuple([pageCount, pageCount]))),
  areRanges,
  'pageRanges',
);
