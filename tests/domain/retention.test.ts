// What rules keep, against an oracle that asks of each capture alone whether a rule keeps it, by the
// calendar of the platform.

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { evolvePoints, initialPoints, type PointsState } from '../../domain/points.ts';
import {
  BUCKETS,
  judge,
  keptByRules,
  type Bucket,
  type DatedCapture,
  type KeepRules,
} from '../../domain/retention.ts';
import { isInRanges } from '../../domain/values/capture-ranges.ts';
import { triesOf } from '../support/long-run.ts';

const NOW = Date.parse('2026-11-28T12:00:00Z');
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const MINUTE = 60_000;

/** A bucket's name, as a calendar writes it. */
function bucketName(bucket: Bucket, timeMs: number): string {
  const date = new Date(timeMs);
  if (bucket === 'weekly') {
    const daysSinceMonday = (date.getUTCDay() + 6) % 7;
    return new Date(Math.floor(timeMs / DAY) * DAY - daysSinceMonday * DAY).toISOString();
  }
  const digits = { hourly: 13, daily: 10, monthly: 7, yearly: 4 }[bucket];
  return date.toISOString().slice(0, digits);
}

/** Whether a capture comes after another by time, of equals by number. */
const isLater = (a: DatedCapture, b: DatedCapture): boolean =>
  a.timeMs > b.timeMs || (a.timeMs === b.timeMs && a.capture > b.capture);

/** Whether anything keeps a capture. */
function isKeptByOracle(
  all: readonly DatedCapture[],
  one: DatedCapture,
  rules: KeepRules,
): boolean {
  const higher = all.filter(({ capture }) => capture > one.capture).length;
  if (higher < Math.max(1, rules.last ?? 0)) return true;
  if (one.timeMs > NOW + MINUTE) return true;
  if (rules.withinMs !== undefined && NOW - one.timeMs <= rules.withinMs) return true;
  const others = all.filter(({ timeMs }) => timeMs <= NOW + MINUTE);
  return BUCKETS.some((bucket) => {
    const own = bucketName(bucket, one.timeMs);
    const isLast = others.every(
      (other) => bucketName(bucket, other.timeMs) !== own || !isLater(other, one),
    );
    const newer = others.filter((other) => isLater(other, one));
    const names = new Set(newer.map(({ timeMs }) => bucketName(bucket, timeMs)));
    return isLast && names.size < (rules[bucket] ?? 0);
  });
}

/** Times near the clock, on either side of it, and on edges of buckets. */
const time = fc.oneof(
  fc.integer({ min: -3 * 365 * DAY, max: DAY }).map((ms) => NOW + ms),
  fc.integer({ min: -100, max: 3 }).map((hours) => NOW + hours * HOUR),
  fc.integer({ min: -40, max: 2 }).map((days) => NOW + days * DAY - 12 * HOUR),
  fc.constantFrom(NOW, NOW + MINUTE, NOW + MINUTE + 1, -1, 0, 8.64e15, -6e13),
);
const captures = fc
  .array(fc.record({ timeMs: time, gap: fc.integer({ min: 1, max: 3 }) }), { maxLength: 40 })
  .map((all) => {
    let capture = 0;
    return all.map(({ timeMs, gap }): DatedCapture => ({ capture: (capture += gap), timeMs }));
  });
const count = fc.integer({ min: 1, max: 6 });
const anyRules: fc.Arbitrary<KeepRules> = fc.record(
  {
    last: count,
    hourly: count,
    daily: count,
    weekly: count,
    monthly: count,
    yearly: count,
    withinMs: fc.integer({ min: 0, max: 400 * DAY }),
  },
  { requiredKeys: [] },
);

describe('rules keep', () => {
  test('what an oracle keeps that looks at each capture alone', () => {
    fc.assert(
      fc.property(captures, anyRules, (all, asked) => {
        const kept = keptByRules(all, { rules: asked, nowMs: NOW });
        const expected = all.filter((one) => isKeptByOracle(all, one, asked));
        expect([...kept.keys()].toSorted((a, b) => a - b)).toEqual(
          expected.map(({ capture }) => capture),
        );
      }),
      { numRuns: triesOf(500) },
    );
  });

  test('the same again of what they kept', () => {
    fc.assert(
      fc.property(captures, anyRules, (all, asked) => {
        const once = keptByRules(all, { rules: asked, nowMs: NOW });
        const left = all.filter(({ capture }) => once.has(capture));
        expect(keptByRules(left, { rules: asked, nowMs: NOW })).toEqual(once);
      }),
    );
  });

  test('a capture ahead of the clock, and say so; the newest by time is another', () => {
    const all = [
      { capture: 1, timeMs: NOW - 2 * HOUR },
      { capture: 2, timeMs: NOW + 10 * 365 * DAY },
      { capture: 3, timeMs: NOW - HOUR },
      { capture: 4, timeMs: NOW - 40 * DAY },
    ];
    expect([...keptByRules(all, { rules: { hourly: 1 }, nowMs: NOW })]).toEqual([
      [4, ['newest']],
      [2, ['ahead of the clock']],
      [3, ['hourly']],
    ]);
  });
});

describe('captures are judged', () => {
  const all = Array.from({ length: 6 }, (_, i) => ({
    capture: i + 1,
    timeMs: NOW - (6 - i) * DAY,
  }));
  const points: PointsState = (
    [
      {
        type: 'CheckpointTaken',
        data: { vm: 'v', name: 'one', capture: 1, note: null, layout: null },
      },
      {
        type: 'CheckpointTaken',
        data: { vm: 'v', name: 'two', capture: 2, note: null, layout: null },
      },
      {
        type: 'CheckpointTaken',
        data: { vm: 'v', name: 'again', capture: 2, note: null, layout: null },
      },
      {
        type: 'PointsForgotten',
        data: {
          vm: 'v',
          captures: [
            [1, 1],
            [4, 4],
          ],
        },
      },
    ] as const
  ).reduce(evolvePoints, initialPoints);
  const told = (asked: Parameters<typeof judge>[2]) => {
    const { verdicts, givenUp } = judge(all, points, asked);
    const lines = verdicts.map(
      ({ capture, isKept, reason }) => `${capture} ${isKept ? 'stays' : 'goes'}: ${reason}`,
    );
    return { lines, givenUp };
  };

  test('by rules: a checkpoint keeps what they do not, and what was given up they do not keep again', () => {
    const rules: KeepRules = { last: 2, withinMs: 3 * DAY };
    expect(told({ _tag: 'rules', rules, nowMs: NOW })).toEqual({
      lines: [
        '1 stays: checkpoint one',
        '2 stays: checkpoint two, checkpoint again',
        '3 goes: no rule keeps it',
        '5 stays: last, within',
        '6 stays: newest, last, within',
      ],
      givenUp: [[2, 3]],
    });
  });

  test('by a number, by a time, and by name', () => {
    const first = { _tag: 'before', capture: 6 } as const;
    expect(told(first).givenUp).toEqual([
      [2, 3],
      [5, 5],
    ]);
    expect(told({ _tag: 'older', timeMs: NOW - 3 * DAY }).givenUp).toEqual([[2, 3]]);
    expect(told({ _tag: 'older', timeMs: NOW + DAY }).givenUp).toEqual([
      [2, 3],
      [5, 5],
    ]);
    const these = {
      _tag: 'these',
      captures: [
        [3, 3],
        [5, 5],
      ],
    } as const;
    expect(told(these)).toEqual({
      lines: [
        '1 stays: checkpoint one',
        '2 stays: not named, checkpoint two, checkpoint again',
        '3 goes: named',
        '5 goes: named',
        '6 stays: newest',
      ],
      givenUp: [
        [3, 3],
        [5, 5],
      ],
    });
  });

  test('and never the newest goes, whatever is asked by rules or time', () => {
    fc.assert(
      fc.property(captures, anyRules, time, (some, asked, timeMs) => {
        const newest = some.at(-1)?.capture ?? 1;
        for (const forgetting of [
          { _tag: 'rules', rules: asked, nowMs: NOW },
          { _tag: 'older', timeMs },
          { _tag: 'before', capture: newest },
        ] as const)
          expect(isInRanges(judge(some, initialPoints, forgetting).givenUp, newest)).toBe(false);
      }),
    );
  });
});
