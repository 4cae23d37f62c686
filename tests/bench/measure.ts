// What a bench does with its numbers: samples to a figure, figures to a ratio, a ratio to a verdict.

import { assert } from '../../domain/values/assert.ts';

/** A measured quantity: the median of its samples and how far they lie apart. */
export interface Figure {
  readonly unit: string;
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly samples: number;
}

/** What a value is held against; `unit` is `x` for a ratio. */
export interface Target {
  readonly sense: 'at least' | 'at most';
  readonly bound: number;
}

/** One line of a bench's table. */
export interface Row {
  readonly what: string;
  readonly measured: Figure;
  /** The limit, measured warm in the same run; null where the target is a stated bound. */
  readonly limit: { readonly what: string; readonly figure: Figure } | null;
  /** Measured over limit, or what was measured where there is no limit. */
  readonly value: number;
  readonly unit: string;
  /** Null: told, not judged. */
  readonly target: Target | null;
  readonly isMet: boolean | null;
  readonly note: string | null;
}

/** Median, least and most of at least one sample. */
export function figureOf(samples: readonly number[], unit: string): Figure {
  assert(samples.length > 0, 'a figure has a sample');
  const ordered = samples.toSorted((a, b) => a - b);
  const middle = ordered.length >>> 1;
  const median =
    ordered.length % 2 === 1 ? ordered[middle]! : (ordered[middle - 1]! + ordered[middle]!) / 2;
  return { unit, median, min: ordered[0]!, max: ordered.at(-1)!, samples: ordered.length };
}

const isWithin = (value: number, target: Target): boolean =>
  target.sense === 'at least' ? value >= target.bound : value <= target.bound;

export interface RowRequest {
  readonly what: string;
  readonly measured: Figure;
  readonly limit?: { readonly what: string; readonly figure: Figure };
  /** The ratio is limit over measured: for times held against a time, as a rate is held. */
  readonly inverse?: boolean;
  readonly target?: Target;
  readonly note?: string;
}

/** A row with its ratio and verdict. */
export function rowOf(request: RowRequest): Row {
  const { what, measured, limit = null, target = null, note = null } = request;
  let value = measured.median;
  if (limit !== null)
    value =
      request.inverse === true
        ? limit.figure.median / measured.median
        : measured.median / limit.figure.median;
  return {
    what,
    measured,
    limit,
    value,
    unit: limit === null ? measured.unit : 'x',
    target,
    isMet: target === null ? null : isWithin(value, target),
    note,
  };
}

/** Seconds that work took. */
export async function secondsOf(work: () => unknown): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}

/** Seconds of processor time that work took, on all threads: others' work beside it is not in them. */
export async function processorSecondsOf(work: () => unknown): Promise<number> {
  const start = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1e6;
}

/** The results of work done again and again, one after the other. */
export async function sampled(
  count: number,
  work: (sample: number) => number | Promise<number>,
): Promise<number[]> {
  const samples: number[] = [];
  for (let sample = 0; sample < count; sample += 1) samples.push(await work(sample));
  return samples;
}

/** Bytes and seconds to GB/s. */
export const gigabytesPerSecond = (bytes: number, seconds: number): number => bytes / seconds / 1e9;
