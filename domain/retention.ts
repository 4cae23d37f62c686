// What rules keep of a VM's captures. Pure: it is told what there is and
// what time it is. Hours to years are buckets of `time` in UTC, and of a bucket the capture with the
// greatest time is kept, of equals the last; `last` goes by number. A time ahead of the clock says
// nothing of when a capture was taken: such a capture is kept, and is in no bucket, so that one wrong
// clock never makes all others old. The newest capture by number stays whatever the rules say.

import { addTo } from './values/grouped.ts';
import { isInRanges, rangesOf, type CaptureRanges } from './values/capture-ranges.ts';
import { calendarDayOf, DAY_MS } from './values/instant.ts';
import { isForgotten, type PointsState } from './points.ts';
import { CLOCK_AHEAD_MS_MAX } from './vm.ts';

export const BUCKETS = ['hourly', 'daily', 'weekly', 'monthly', 'yearly'] as const;
export type Bucket = (typeof BUCKETS)[number];

/** Each rule that is there keeps; what none keeps goes. */
export interface KeepRules extends Readonly<Partial<Record<Bucket, number>>> {
  /** So many captures with the highest numbers. */
  readonly last?: number;
  /** What is not older than this. */
  readonly withinMs?: number;
}

export interface DatedCapture {
  readonly capture: number;
  readonly timeMs: number;
}

export const NEWEST = 'newest';
export const AHEAD = 'ahead of the clock';
export const LEASED = 'leased';

const HOUR_MS = 3_600_000;
/** Days since 1970 of the first Monday, from which weeks are counted. */
const MONDAY = 4;

const dayOf = (timeMs: number): number => Math.floor(timeMs / DAY_MS);
/** The bucket that a time falls into, as a number that grows with time. */
const BUCKET_OF: Readonly<Record<Bucket, (timeMs: number) => number>> = {
  hourly: (timeMs) => Math.floor(timeMs / HOUR_MS),
  daily: dayOf,
  weekly: (timeMs) => Math.floor((dayOf(timeMs) - MONDAY) / 7),
  monthly: (timeMs) => {
    const { year, month } = calendarDayOf(dayOf(timeMs));
    return year * 12 + month;
  },
  yearly: (timeMs) => calendarDayOf(dayOf(timeMs)).year,
};

/** The captures that stand for the newest `count` buckets; `captures` by time, the newest first. */
function bucketed(captures: readonly DatedCapture[], bucket: Bucket, count: number): number[] {
  const kept: number[] = [];
  let last: number | null = null;
  for (const { capture, timeMs } of captures) {
    if (kept.length >= count) break;
    const number = BUCKET_OF[bucket](timeMs);
    if (number === last) continue;
    last = number;
    kept.push(capture);
  }
  return kept;
}

/**
 * Why rules keep captures, by number; what is not in it goes. `captures` are all that may be kept,
 * ascending by number.
 */
export function keptByRules(
  captures: readonly DatedCapture[],
  { rules, nowMs }: { readonly rules: KeepRules; readonly nowMs: number },
): ReadonlyMap<number, readonly string[]> {
  const kept = new Map<number, string[]>();
  const keep = (capture: number, reason: string): void => addTo(kept, capture, reason);
  const newest = captures.at(-1);
  if (newest !== undefined) keep(newest.capture, NEWEST);
  const { last = 0, withinMs } = rules;
  if (last > 0) for (const { capture } of captures.slice(-last)) keep(capture, 'last');
  const isAhead = ({ timeMs }: DatedCapture): boolean => timeMs > nowMs + CLOCK_AHEAD_MS_MAX;
  const dated = captures
    .filter((capture) => !isAhead(capture))
    .toSorted((a, b) => b.timeMs - a.timeMs || b.capture - a.capture);
  for (const capture of captures) if (isAhead(capture)) keep(capture.capture, AHEAD);
  if (withinMs !== undefined)
    for (const { capture, timeMs } of dated)
      if (timeMs >= nowMs - withinMs) keep(capture, 'within');
  for (const bucket of BUCKETS)
    for (const capture of bucketed(dated, bucket, rules[bucket] ?? 0)) keep(capture, bucket);
  return kept;
}

/** What is asked to go: what rules do not keep, captures before a number, older ones, or these. */
export type Forgetting =
  | { readonly _tag: 'rules'; readonly rules: KeepRules; readonly nowMs: number }
  | { readonly _tag: 'before'; readonly capture: number }
  | { readonly _tag: 'older'; readonly timeMs: number }
  | { readonly _tag: 'these'; readonly captures: CaptureRanges };

/** What becomes of a capture that could be restored, and why. */
export interface Verdict {
  readonly capture: number;
  readonly isKept: boolean;
  readonly reason: string;
}

export interface Judged {
  /** Of all captures that are kept before, ascending. */
  readonly verdicts: readonly Verdict[];
  /** What nothing but a checkpoint keeps from here on. What is leased is not among it. */
  readonly givenUp: CaptureRanges;
}

/** Why captures stay that may go, by number. */
function reasonsToKeep(
  captures: readonly DatedCapture[],
  asked: Forgetting,
): ReadonlyMap<number, readonly string[]> {
  if (asked._tag === 'rules') return keptByRules(captures, asked);
  const kept = new Map<number, readonly string[]>();
  const newest = captures.at(-1)?.capture;
  for (const { capture, timeMs } of captures) {
    const goes =
      (asked._tag === 'before' && capture < asked.capture) ||
      (asked._tag === 'older' && timeMs < asked.timeMs && capture !== newest) ||
      (asked._tag === 'these' && isInRanges(asked.captures, capture));
    if (!goes) kept.set(capture, [capture === newest ? NEWEST : 'not named']);
  }
  return kept;
}

/**
 * Judges a VM's captures, ascending by number. What was given up before no rule keeps again.
 * `leaseText` says who holds a point by a lease.
 */
export function judge(
  captures: readonly DatedCapture[],
  points: PointsState,
  asked: Forgetting,
  leaseText: (lease: string) => string = () => LEASED,
): Judged {
  const open = captures.filter(({ capture }) => !isInRanges(points.givenUp, capture));
  const kept = reasonsToKeep(open, asked);
  const named = new Map<number, string[]>();
  for (const [name, capture] of points.names) addTo(named, capture, `checkpoint ${name}`);
  const leased = new Map<number, string[]>();
  for (const [lease, capture] of points.leases) addTo(leased, capture, leaseText(lease));
  const verdicts = captures
    .filter(({ capture }) => !isForgotten(points, capture))
    .map(({ capture }): Verdict => {
      const reasons = [kept, named, leased].flatMap((of) => of.get(capture) ?? []);
      const isKept = reasons.length > 0;
      const goes = asked._tag === 'rules' ? 'no rule keeps it' : 'named';
      return { capture, isKept, reason: isKept ? reasons.join(', ') : goes };
    });
  const isHeld = (capture: number): boolean => kept.has(capture) || leased.has(capture);
  const givenUp = open.flatMap(({ capture }) => (isHeld(capture) ? [] : [capture]));
  return { verdicts, givenUp: rangesOf(givenUp) };
}
