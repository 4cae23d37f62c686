// Regions against a naive reading of what they are: lists of tags, cut and compared as lists.

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  commonOf,
  longestRegions,
  NO_TAG,
  pagesIn,
  REGION_PAGES_MAX,
  regionIndex,
  regionsOf,
  runsOf,
  tagOf,
} from '../../../domain/values/regions.ts';

interface NaiveRun {
  readonly gfn: number;
  readonly tags: readonly number[];
}

/** The runs of a table, by the words of the definition. */
function naiveRuns(tags: readonly number[], mean: number, leastPages: number): NaiveRun[] {
  const runs: NaiveRun[] = [];
  let run: number[] = [];
  const end = (gfn: number): void => {
    if (run.length >= leastPages && run.length > 0) runs.push({ gfn: gfn - run.length, tags: run });
    run = [];
  };
  for (const [gfn, tag] of tags.entries()) {
    if (tag === NO_TAG) {
      end(gfn);
      continue;
    }
    run.push(tag);
    if (tag % mean === 0 || run.length === REGION_PAGES_MAX) end(gfn + 1);
  }
  end(tags.length);
  return runs;
}

// Few contents, so that runs are met again; some above 32 bits.
const tag = fc.oneof(
  { weight: 8, arbitrary: fc.nat(12) },
  { weight: 2, arbitrary: fc.nat(3).map((n) => n * 2 ** 32 + 5) },
  { weight: 2, arbitrary: fc.constant(NO_TAG) },
);
const table = fc.array(tag, { maxLength: 60 });
const rule = fc.record({
  mean: fc.integer({ min: 1, max: 9 }),
  leastPages: fc.integer({ min: 1, max: 4 }),
});

describe('runs', () => {
  test('are cut behind pages that say so, where nothing is held, and nowhere else', () => {
    fc.assert(
      fc.property(table, rule, (tags, of) => {
        const runs = runsOf(Float64Array.from(tags), of);
        const naive = naiveRuns(tags, of.mean, of.leastPages);
        expect([...runs.gfns]).toEqual(naive.map(({ gfn }) => gfn));
        expect([...runs.lengths]).toEqual(naive.map((run) => run.tags.length));
        expect([...runs.starts]).toEqual(naive.map((run) => run.tags[0]));
      }),
    );
  });

  test('have at most as many pages as a large page', () => {
    const runs = runsOf(new Float64Array(1200).fill(1), { mean: 7, leastPages: 1 });
    expect([...runs.lengths]).toEqual([512, 512, 176]);
  });

  test('are cut alike wherever they begin', () => {
    const shared = Array.from({ length: 400 }, (_, i) => (i * 2654435761) % 1_000_003);
    const tagsOf = (before: number) => Float64Array.from([...Array(before).fill(1), ...shared]);
    const [a, b] = [3, 50].map((before) =>
      regionsOf([runsOf(tagsOf(before), { mean: 8, leastPages: 1 })]),
    );
    const common = [...a!.digests].filter((digest) => b!.digests.includes(digest));
    expect(common.length).toBeGreaterThan(0.9 * a!.count);
  });
});

describe('what a VM and a host have in common', () => {
  test('is what two lists of lists have in common', () => {
    fc.assert(
      fc.property(
        table,
        fc.array(table, { maxLength: 4 }),
        rule,
        fc.array(fc.nat(1)),
        (tags, points, of, uses) => {
          const held = points.map((point) => naiveRuns(point, of.mean, of.leastPages));
          const all = new Set(held.flat().map((run) => run.tags.join()));
          const naive = naiveRuns(tags, of.mean, of.leastPages).filter((run) =>
            all.has(run.tags.join()),
          );
          const pages = naive.flatMap(({ gfn, tags: { length } }) =>
            Array.from({ length }, (_, i) => gfn + i),
          );
          const used = Uint8Array.from(tags, (_, gfn) => uses[gfn] ?? 0);

          const regions = regionsOf(points.map((point) => runsOf(Float64Array.from(point), of)));
          const part = longestRegions(regions, regions.count >>> 1);
          expect(
            commonOf(runsOf(Float64Array.from(tags), of), {
              // What is told twice counts once.
              holds: [
                { regions: part, index: regionIndex(part) },
                { regions, index: regionIndex(regions) },
              ],
              used,
            }),
          ).toEqual({
            regions: naive.length,
            pages: pages.length,
            used: pages.reduce((sum, gfn) => sum + used[gfn]!, 0),
          });
          expect(regions.count).toBe(all.size);
          expect(regions.replicas.reduce((sum, n) => sum + n, 0)).toBe(held.flat().length);
          for (let row = 0; row < regions.count; row += 1) {
            const point = points[regions.places[row]!]!;
            expect(point[regions.gfns[row]!]).toBe(regions.starts[row]);
          }
        },
      ),
    );
  });
});

test('the longest regions are told where there are too many', () => {
  const points = [[1, 2, 0, 3, 0, 4, 5, 6, 0]].map((tags) =>
    runsOf(Float64Array.from(tags), { mean: 7, leastPages: 1 }),
  );
  const regions = regionsOf(points);
  expect([...regions.lengths].toSorted((a, b) => a - b)).toEqual([2, 3, 4]);
  const kept = longestRegions(regions, 2);
  expect(pagesIn(kept)).toBe(7);
  expect([...kept.digests]).toEqual([...kept.digests].toSorted((a, b) => a - b));
});

test('a tag is the first six bytes of an identifier', () => {
  expect(tagOf(Uint8Array.of(1, 2, 0, 0, 0, 3, 9, 9))).toBe(1 + 2 * 256 + 3 * 2 ** 40);
});
