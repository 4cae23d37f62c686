// Parts of long lists, asked for alike by every command that prints one: the newest so many, those since a
// time, the newest first.

import type { Command } from 'commander';
import { isRefused } from '../../../domain/values/refused.ts';
import type { Ledger } from '../../wiring/ledger/ledger.ts';
import type { Row } from '../rows/row.ts';
import { positiveNumber } from './argument-values.ts';
import { UsageError } from './failure.ts';

/** Which part of a list is asked for. */
export interface Excerpt {
  readonly last: number | null;
  readonly sinceMs: number | null;
  readonly isReverse: boolean;
}

interface ExcerptOptions {
  readonly last?: number;
  readonly since?: string;
  readonly reverse?: boolean;
}

/** Of a list whose rows have no time that a person would ask for. */
export const declareNewest = (command: Command): Command =>
  command
    .option('--last <n>', 'only the newest so many', positiveNumber)
    .option('--reverse', 'newest first');

/** Of a list whose order is not that of times. */
export const declareEnd = (command: Command): Command =>
  command
    .option('--last <n>', 'only the last so many', positiveNumber)
    .option('--reverse', 'the last first');

export const declareExcerpt = (command: Command): Command =>
  declareNewest(command).option(
    '--since <time>',
    'only those since then: 1h, yesterday, 2026-11-20T10:00',
  );

/** The instant that a text names: a time, or how long ago. */
function sinceMs(ledger: Ledger, text: string): number {
  const isDuration = /^[\d.]+(?:ms|s|m|h|d)$/u.test(text);
  const named = /^(?:time|ago):/u.test(text) ? text : `${isDuration ? 'ago' : 'time'}:${text}`;
  try {
    const point = ledger.point(named);
    if (point._tag === 'time') return point.timeMs;
  } catch (thrown) {
    if (!isRefused(thrown)) throw thrown;
  }
  throw new UsageError(
    `--since ${text} is no time: 1h, yesterday or 2026-11-20T10:00 was expected`,
  );
}

/** What a command of a list was asked whose rows bear no times. */
export function endAskedOf(command: Command): Excerpt {
  const { last = null, reverse = false } = command.opts<ExcerptOptions>();
  return { last, sinceMs: null, isReverse: reverse };
}

/** What a command of such a list was asked. */
export function excerptOf(command: Command, ledger: Ledger): Excerpt {
  const { last = null, since, reverse = false } = command.opts<ExcerptOptions>();
  return {
    last,
    sinceMs: since === undefined ? null : sinceMs(ledger, since),
    isReverse: reverse,
  };
}

/** That part of a list, which is oldest first; what has no time is older than all that has one. */
function excerptBy<A>(
  items: readonly A[],
  { last, sinceMs: since, isReverse }: Excerpt,
  timeMs: (item: A) => number | null,
): readonly A[] {
  const isSince = (item: A): boolean => (timeMs(item) ?? -Infinity) >= (since ?? 0);
  const recent = since === null ? items : items.filter(isSince);
  const newest = last === null ? recent : recent.slice(-last);
  return isReverse ? newest.toReversed() : newest;
}

/** That part of a list of another order, by time; all of it, as it is, where no part is asked for. */
export function excerptByTime<A>(
  items: readonly A[],
  excerpt: Excerpt,
  timeMs: (item: A) => number | null,
): readonly A[] {
  const { last, sinceMs: since, isReverse } = excerpt;
  if (last === null && since === null && !isReverse) return items;
  const at = (item: A): number => timeMs(item) ?? -Infinity;
  // Two without a time are equal, too.
  const ascending = (a: A, b: A): number => (at(a) === at(b) ? 0 : at(a) - at(b));
  return excerptBy(items.toSorted(ascending), excerpt, timeMs);
}

/** That part of a list that is oldest first, each with its time. */
export const excerptOfTimed = <A extends { readonly timeMs: number }>(
  items: readonly A[],
  excerpt: Excerpt,
): readonly A[] => excerptBy(items, excerpt, ({ timeMs }) => timeMs);

/** That part of a list whose rows bear no times. */
export const endOf = <A>(items: readonly A[], { last, isReverse }: Excerpt): readonly A[] =>
  excerptBy(items, { last, isReverse, sinceMs: null }, () => null);

/** Rows that are held at once, at most: some hundred bytes each. */
const HELD_MAX = 200_000;

/** Items of a list that come one by one, and are held until all are known, since its last are asked for. */
export class HeldItems<A> {
  readonly #asked: Excerpt;
  readonly #max: number;
  readonly #items: A[] = [];

  private constructor(asked: Excerpt, max: number) {
    this.#asked = asked;
    this.#max = max;
  }

  /** Null: all are asked for, as they come. `max`: how many are held at most. */
  static of<A>(asked: Excerpt, max = HELD_MAX): HeldItems<A> | null {
    return asked.last === null && !asked.isReverse ? null : new HeldItems<A>(asked, max);
  }

  /** Throws a UsageError where there are too many. */
  add(item: A): void {
    const { last } = this.#asked;
    this.#items.push(item);
    // Now and then, so that one costs the same however many are held.
    if (last !== null && this.#items.length >= 2 * last)
      this.#items.splice(0, this.#items.length - last);
    if (this.#items.length > this.#max)
      throw new UsageError(
        `there are more than ${this.#max} rows to hold: ask for fewer, as --last ${this.#max / 2} does`,
      );
  }

  /** Those that were asked for, in the order that was. */
  items(): readonly A[] {
    return endOf(this.#items, this.#asked);
  }
}

/** That part of rows, which are oldest first. */
export const excerptRows = (rows: readonly Row[], excerpt: Excerpt): readonly Row[] =>
  excerptBy(rows, excerpt, ({ time }) => (typeof time === 'string' ? Date.parse(time) : null));
