import { describe, expect, test } from '@jest/globals';
import * as either from 'fp-ts/lib/Either.js';
import fc from 'fast-check';
import {
  decodeAdvertisement,
  encodeAdvertisement,
  type Advertisement,
} from '../../../domain/events/advertisement.ts';
import { decodeChange, encodeChange } from '../../../domain/events/advertisement-change.ts';
import { regionsOf, runsOf } from '../../../domain/values/regions.ts';
import { filterOf } from '../../../domain/values/tag-filter.ts';
import { damaged } from '../../support/arbitraries.ts';
import { GOLDEN_ADVERTISEMENT } from '../../support/golden/golden-advertisement.ts';
import { goldenBytes } from '../../support/golden/golden-capture.ts';

const told = (points: readonly (readonly number[])[], mean = 3): Advertisement => {
  const rule = { mean, leastPages: 1 };
  const tables = points.map((tags) => Float64Array.from(tags));
  return {
    rule,
    filter: filterOf(points.flat()),
    regions: regionsOf(tables.map((tags) => runsOf(tags, rule))),
    leftOut: 2,
  };
};

/** What a change of its bytes makes of an advertisement. */
function after(change: (view: DataView) => void): unknown {
  const bytes = encodeAdvertisement(told([[1, 2, 3, 4, 5, 6]]));
  change(new DataView(bytes.buffer));
  return decodeAdvertisement(bytes);
}

describe('an advertisement', () => {
  test('reads as it was told', () => {
    const tag = fc.nat(2 ** 31).map((n) => n * 2 ** 16);
    fc.assert(
      fc.property(fc.array(fc.array(tag, { maxLength: 30 }), { maxLength: 3 }), (points) => {
        const of = told(points);
        expect(decodeAdvertisement(encodeAdvertisement(of))).toEqual(either.right(of));
      }),
    );
  });

  test('whose bytes were changed is read within bounds, or refused', () => {
    const bytes = encodeAdvertisement(told([[1, 2, 3, 4, 5, 6]]));
    fc.assert(
      fc.property(damaged(bytes), (some) => {
        const read = decodeAdvertisement(some);
        const again = either.isLeft(read) ? some : encodeAdvertisement(read.right);
        expect(again).toHaveLength(some.length);
      }),
    );
  });

  test.each([
    ['a version that is not known', (view: DataView) => view.setUint8(0, 2), /version 2/u],
    ['a filter without end', (view: DataView) => view.setUint8(2, 63), /2\^63 bits/u],
    ['a sample of nothing', (view: DataView) => view.setUint8(1, 40), /1 in 2\^40/u],
    [
      'more regions than there may be',
      (view: DataView) => view.setUint32(12, 2 ** 31, true),
      /2147483648 regions/u,
    ],
    [
      'more regions than it has bytes for',
      (view: DataView) => view.setUint32(12, 9, true),
      /were expected for 9/u,
    ],
    ['regions cut by nothing', (view: DataView) => view.setUint32(4, 0, true), /1 in 0/u],
    [
      'a region without pages',
      (view: DataView) => view.setUint16(20 + 128 + 24, 0, true),
      /region 0 has 0 pages/u,
    ],
    [
      'digests that do not ascend',
      (view: DataView) => view.setUint16(20 + 128 + 12 + 10, 0, true),
      /not behind/u,
    ],
  ])('of %s is refused', (_what, change, why) => {
    expect(after(change)).toMatchObject({ left: expect.stringMatching(why) });
  });

  test('is written as it was', () => {
    expect(encodeAdvertisement(GOLDEN_ADVERTISEMENT)).toEqual(goldenBytes('advertisement-1/bytes'));
    expect(decodeAdvertisement(goldenBytes('advertisement-1/bytes'))).toEqual(
      either.right(GOLDEN_ADVERTISEMENT),
    );
  });
});

describe('what has changed of an advertisement', () => {
  const tag = fc.nat(2 ** 31).map((n) => n * 2 ** 16);
  const points = fc.array(fc.array(tag, { maxLength: 30 }), { maxLength: 3 });

  test('makes the later one of the earlier one', () => {
    fc.assert(
      fc.property(points, points, (some, others) => {
        const [before, later] = [told(some), told([...some, ...others])];
        for (const [from, to] of [
          [before, later],
          [later, before],
          [later, later],
        ] as const)
          expect(decodeChange(from, encodeChange(from, to))).toEqual(either.right(to));
      }),
    );
  });

  test('is refused, or within bounds, where its bytes were changed', () => {
    const [before, later] = [told([[1, 2, 3, 4, 5, 6]]), told([[1, 2, 3, 4, 9, 12, 15]])];
    const bytes = encodeChange(before, later);
    fc.assert(
      fc.property(damaged(bytes), (some) => {
        const read = decodeChange(before, some);
        const { digests, count } = either.isRight(read) ? read.right.regions : before.regions;
        expect(count).toBeLessThanOrEqual(before.regions.count + later.regions.count);
        expect([...digests]).toEqual([...new Set(digests)].toSorted((a, b) => a - b));
      }),
    );
  });

  test.each([
    ['that lets go of what was not told', [1, 0, 0, 0, 9, 9, 9, 9, 9, 9], /not told/u],
    ['that lets go of more than there is', [200, 0, 0, 0], /200 regions/u],
    ['that is cut', [1, 0, 0], /3 bytes/u],
  ])('and one %s is refused', (_what, bytes, why) => {
    const read = decodeChange(told([[1, 2, 3]]), Uint8Array.from(bytes));
    expect(either.isLeft(read) ? read.left : '').toMatch(why);
  });

  test('and one that brings what is there is refused', () => {
    const one = told([[1, 2, 3]]);
    const read = decodeChange(one, encodeChange(told([]), one));
    expect(either.isLeft(read) ? read.left : '').toMatch(/that is there/u);
  });
});
