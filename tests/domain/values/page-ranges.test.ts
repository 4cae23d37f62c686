// Sets of pages as ranges, against sets of numbers.

import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { areRanges, rangesOf } from '../../../domain/values/capture-ranges.ts';
import {
  differenceOf,
  intersectionOf,
  pagesIn,
  rangesWhere,
} from '../../../domain/values/page-ranges.ts';

const pages = fc.uniqueArray(fc.nat(40));

test('what is in both, and in one alone, is what sets say', () => {
  fc.assert(
    fc.property(pages, pages, (one, other) => {
      const [a, b] = [rangesOf(one), rangesOf(other)];
      expect(intersectionOf(a, b)).toEqual(rangesOf(one.filter((page) => other.includes(page))));
      expect(differenceOf(a, b)).toEqual(rangesOf(one.filter((page) => !other.includes(page))));
      expect(areRanges(differenceOf(a, b))).toBe(true);
      expect(pagesIn(a)).toBe(one.length);
    }),
  );
});

test('the places of a value in a column are ranges', () => {
  fc.assert(
    fc.property(fc.uint8Array({ max: 2 }), fc.nat(1000), (column, from) => {
      const places = [...column.entries()].flatMap(([i, value]) => (value === 2 ? [from + i] : []));
      expect(rangesWhere(column, 2, from)).toEqual(rangesOf(places));
    }),
  );
});
