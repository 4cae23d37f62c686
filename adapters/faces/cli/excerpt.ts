// Parts of long lists, asked for alike by every command that prints one: the newest so many, those since a
// time, the newest first.

import type { Command } from 'commander';
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

export const declareExcerpt = (command: Command): Command =>
  declareNewest(command).option(
    '--since <time>',
    'only those since then: 1h, yesterday, 2026-11-20T10:00',
  );

/** The instant that a text names: a time, or how long ago. */
function sinceMs(ledger: Ledger, text: string): number {
  const isDuration = /^[\d.]+(?:ms|s|m|h|d)$/u.test(text);
  const named = /^(?:time|ago):/u.test(text) ? text : `${isDuration ? 'ago' : 'time'}:${text}`;
  const point = ledger.point(named);
  if (point._tag === 'time') return point.timeMs;
  throw new UsageError(
    `--since ${text} is no time: 1h, yesterday or 2026-11-20T10:00 was expected`,
  );
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

/** That part of rows, which are oldest first. */
export const excerptRows = (rows: readonly Row[], excerpt: Excerpt): readonly Row[] =>
  excerptBy(rows, excerpt, ({ time }) => (typeof time === 'string' ? Date.parse(time) : null));
