import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { lastWhere } from '../../../domain/values/sorted-search.ts';

describe('the last number for which something holds', () => {
  test('is the one before it holds no more, or none', () => {
    const sizes = fc
      .nat({ max: 300 })
      .chain((count) => fc.tuple(fc.constant(count), fc.nat({ max: count })));
    fc.assert(
      fc.property(sizes, ([count, holding]) => {
        const asked: number[] = [];
        const holds = (number: number): boolean => {
          asked.push(number);
          return number < holding;
        };
        expect(lastWhere(count, holds)).toBe(holding - 1);
        expect(asked.every((number) => number >= 0 && number < count)).toBe(true);
        expect(asked.length).toBeLessThanOrEqual(Math.ceil(Math.log2(count + 1)));
      }),
    );
  });
});
