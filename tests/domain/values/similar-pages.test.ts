import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { NO_FEATURE, SKETCH_FEATURES } from '../../../domain/ports/page-engine.ts';
import { groupSimilar } from '../../../domain/values/similar-pages.ts';

/** Sketches with these features, filled up. */
const sketchesOf = (...pages: readonly (readonly number[])[]): Uint32Array =>
  Uint32Array.from(
    pages.flatMap((features) => [
      ...features,
      ...Array.from({ length: SKETCH_FEATURES - features.length }, () => NO_FEATURE),
    ]),
  );

const order = (sketches: Uint32Array, groupPagesMax = 64): number[] => [
  ...groupSimilar(sketches, { groupPagesMax }),
];

describe('pages in the order of what they have in common', () => {
  test('follow each other where they share two features, and those alone come last', () => {
    const sketches = sketchesOf([1, 2, 3], [], [7, 8], [2, 3, 4, 9], [8, 10], [4, 9], [7, 8]);
    // 3 joins 0 by 2 and 3, and 5 joins them by 4 and 9; 6 has one feature each of 2 and of 4.
    expect(order(sketches)).toEqual([0, 3, 5, 1, 2, 4, 6]);
  });

  test('join the group that most of their features are in', () => {
    const sketches = sketchesOf([1, 2, 3], [4, 5, 6, 7], [1, 2, 4, 5, 6]);
    expect(order(sketches)).toEqual([1, 2, 0]);
  });

  test('make no group larger than it may be', () => {
    const a = [1, 2];
    const b = [3, 4];
    const sketches = sketchesOf(a, a, a, b, a, a, b);
    expect(order(sketches, 2)).toEqual([0, 1, 2, 4, 3, 6, 5]);
  });

  test('are each there once, whatever their sketches are', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc
            .uniqueArray(fc.nat({ max: 12 }), { maxLength: SKETCH_FEATURES })
            .map((features) => features.toSorted((a, b) => a - b)),
          { maxLength: 60 },
        ),
        fc.integer({ min: 1, max: 9 }),
        (pages, groupPagesMax) => {
          const sketches = sketchesOf(...pages);
          const found = order(sketches, groupPagesMax);
          expect(found.toSorted((a, b) => a - b)).toEqual([...pages.keys()]);
          expect(order(sketches, groupPagesMax)).toEqual(found);
        },
      ),
    );
  });

  test('keep their own order where nothing is common, also when there is none', () => {
    expect(order(sketchesOf())).toEqual([]);
    expect(order(sketchesOf([3], [1], [], [2]))).toEqual([0, 1, 2, 3]);
  });

  test('are told apart by any two of many features', () => {
    const count = 20_000;
    const sketches = new Uint32Array(count * SKETCH_FEATURES);
    for (let i = 0; i < sketches.length; i += 1) sketches[i] = Math.imul(i + 1, 0x85ebca6b) >>> 1;
    // Page n + 10,000 has two features of page n.
    for (let page = count / 2; page < count; page += 1)
      for (const i of [3, 4])
        sketches[page * SKETCH_FEATURES + i] =
          sketches[(page - count / 2) * SKETCH_FEATURES + ((page + i) % SKETCH_FEATURES)]!;
    const expected = Array.from({ length: count / 2 }, (_, n) => [n, n + count / 2]).flat();
    expect(order(sketches)).toEqual(expected);
  });
});
