import { expect, test } from '@jest/globals';
import { NO_TAG } from '../../../domain/values/regions.ts';
import {
  BITS_LOG_MAX,
  estimateOf,
  FALSE_RATE,
  filterOf,
} from '../../../domain/values/tag-filter.ts';

/** Tags as digests give them: spread over 48 bits, the same for the same seed. */
function tagsOf(seed: number, count: number): Float64Array {
  let state = seed;
  const next = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state;
  };
  return Float64Array.from({ length: count }, () => (next() >>> 16) * 2 ** 32 + next());
}

test('a filter has every tag that it was made of', () => {
  const tags = tagsOf(1, 3000);
  expect(estimateOf(filterOf(tags), tags)).toBe(3000);
});

test('it takes at most one in a hundred others for one of them', () => {
  const filter = filterOf(tagsOf(1, 40_000));
  expect(filter.sampleLog).toBe(0);
  let passed = 0;
  const others = tagsOf(2, 20_000);
  for (const tag of others) passed += estimateOf(filter, Float64Array.of(tag));
  expect(passed / others.length).toBeLessThan(FALSE_RATE * 1.3);
});

test('of more tags than fit it has a sample, and says how many are in common all the same', () => {
  const own = tagsOf(3, 400_000);
  const filter = filterOf(own);
  expect(filter.sampleLog).toBeGreaterThan(0);
  expect(filter.bits.length).toBeLessThanOrEqual(2 ** BITS_LOG_MAX / 8);
  const half = Float64Array.from([...own.subarray(0, 50_000), ...tagsOf(4, 50_000)]);
  expect(Math.abs(estimateOf(filter, half) - 50_000)).toBeLessThan(5_000);
});

test('pages that hold no content count for nothing', () => {
  const filter = filterOf([NO_TAG, 5]);
  expect(estimateOf(filter, Float64Array.of(NO_TAG, NO_TAG, 5))).toBe(1);
});
