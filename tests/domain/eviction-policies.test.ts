// Policies over recorded references, each against the plainest way to do the same, and the best one against
// every choice there is.

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  EVICTION_POLICIES,
  replayEvictions,
  type EvictionPolicy,
  type References,
} from '../../domain/eviction-policies.ts';

const referencesOf = (pages: readonly number[], clones: readonly number[] = []): References => ({
  pages: Uint32Array.from(pages),
  clones: Uint32Array.from(pages, (_, i) => clones[i] ?? 0),
  pageCount: Math.max(0, ...pages) + 1,
  cloneCount: Math.max(0, ...clones) + 1,
});
const fetchedBy = (pages: readonly number[], policy: EvictionPolicy, capacity: number): number =>
  replayEvictions(referencesOf(pages), { policy, capacity }).fetched;

/** A page that is there, as the plain way has it. */
interface There {
  readonly page: number;
  readonly came: number;
  touched: number;
  isMarked: boolean;
  readonly clone: number;
}
type Pick = (there: readonly There[], at: number) => There;
const least = (there: readonly There[], of: (each: There) => number): There =>
  there.reduce((one, other) => (of(other) < of(one) ? other : one));

/** How much is fetched where `pick` looks through all that is there. */
function plainly({ pages, clones }: References, capacity: number, pick: Pick): number {
  let there: There[] = [];
  let fetched = 0;
  for (const [at, page] of pages.entries()) {
    const found = there.find((each) => each.page === page);
    if (found !== undefined) {
      found.touched = at;
      found.isMarked = true;
      continue;
    }
    if (there.length === capacity) {
      const victim = pick(there, at);
      there = there.filter((each) => each !== victim);
    }
    there.push({ page, came: at, touched: at, isMarked: false, clone: clones[at]! });
    fetched += 1;
  }
  return fetched;
}

const naive = (references: References): Readonly<Record<string, Pick>> => {
  const { pages, clones } = references;
  const nextUse = (page: number, at: number): number => {
    const next = pages.indexOf(page, at);
    return next === -1 ? Number.POSITIVE_INFINITY : next;
  };
  return {
    lru: (there) => least(there, ({ touched }) => touched),
    fifo: (there) => least(there, ({ came }) => came),
    best: (there, at) => least(there, ({ page }) => -nextUse(page, at)),
    clone: (there, at) => {
      const lastOf = (clone: number): number => clones.lastIndexOf(clone, at - 1);
      const idle = least(there, ({ clone }) => lastOf(clone));
      return least(
        there.filter(({ clone }) => clone === idle.clone),
        ({ came }) => came,
      );
    },
  };
};

/** A clock as a list that is turned: what was touched goes round once more. */
function byClock({ pages }: References, capacity: number): number {
  const hand: { page: number; isMarked: boolean }[] = [];
  let fetched = 0;
  for (const page of pages) {
    const found = hand.find((each) => each.page === page);
    if (found !== undefined) found.isMarked = true;
    else {
      while (hand.length === capacity) {
        const first = hand.shift()!;
        if (first.isMarked) hand.push({ page: first.page, isMarked: false });
      }
      hand.push({ page, isMarked: false });
      fetched += 1;
    }
  }
  return fetched;
}

/** The least that can be fetched, whatever is dropped: every choice is tried. */
function leastFetched(
  pages: readonly number[],
  capacity: number,
  there: readonly number[] = [],
): number {
  const [page, ...rest] = pages;
  if (page === undefined) return 0;
  if (there.includes(page)) return leastFetched(rest, capacity, there);
  if (there.length < capacity) return 1 + leastFetched(rest, capacity, [...there, page]);
  return (
    1 +
    Math.min(
      ...there.map((victim) =>
        leastFetched(rest, capacity, [...there.filter((each) => each !== victim), page]),
      ),
    )
  );
}

const touches = fc.array(fc.record({ page: fc.nat(9), clone: fc.nat(3) }), { maxLength: 80 });

describe('a policy', () => {
  test('that knows what comes fetches the least of all', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(4), { maxLength: 9 }),
        fc.integer({ min: 1, max: 4 }),
        (pages, n) => {
          expect(fetchedBy(pages, 'best', n)).toBe(leastFetched(pages, n));
        },
      ),
    );
  });

  test('fetches what the plainest way to do the same fetches', () => {
    fc.assert(
      fc.property(touches, fc.integer({ min: 1, max: 10 }), (list, capacity) => {
        const references = referencesOf(
          list.map(({ page }) => page),
          list.map(({ clone }) => clone),
        );
        for (const [policy, pick] of Object.entries(naive(references)))
          expect([
            policy,
            replayEvictions(references, { policy: policy as EvictionPolicy, capacity }).fetched,
          ]).toEqual([policy, plainly(references, capacity, pick)]);
        expect(replayEvictions(references, { policy: 'clock', capacity }).fetched).toBe(
          byClock(references, capacity),
        );
      }),
    );
  });

  test('never beats the best one, counts what went and came again, and does the same each time', () => {
    fc.assert(
      fc.property(touches, fc.integer({ min: 1, max: 10 }), (list, capacity) => {
        const references = referencesOf(list.map(({ page }) => page));
        const distinct = new Set(references.pages).size;
        const best = replayEvictions(references, { policy: 'best', capacity });
        for (const policy of EVICTION_POLICIES) {
          const { fetched, evicted, refetched } = replayEvictions(references, { policy, capacity });
          expect(fetched).toBeGreaterThanOrEqual(best.fetched);
          expect(refetched).toBe(fetched - distinct);
          expect(evicted).toBe(Math.max(0, fetched - capacity));
          expect(replayEvictions(references, { policy, capacity })).toEqual({
            fetched,
            evicted,
            refetched,
          });
        }
      }),
    );
  });

  test('does as the books say of the reference string that they all have', () => {
    const pages = [7, 0, 1, 2, 0, 3, 0, 4, 2, 3, 0, 3, 2, 1, 2, 0, 1, 7, 0, 1];
    expect(fetchedBy(pages, 'fifo', 3)).toBe(15);
    expect(fetchedBy(pages, 'lru', 3)).toBe(12);
    expect(fetchedBy(pages, 'best', 3)).toBe(9);
  });
});
