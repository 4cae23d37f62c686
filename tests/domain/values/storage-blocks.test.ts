import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { storageBlockEnds } from '../../../domain/values/storage-blocks.ts';

const endsOf = (lengths: readonly number[], bufferBytes: number): number[] => [
  ...storageBlockEnds(Uint32Array.from(lengths), bufferBytes),
];

describe('storage blocks', () => {
  test('end before a block that the buffer has no room for', () => {
    expect(endsOf([40, 40, 40, 40, 40], 100)).toEqual([2, 5]);
    expect(endsOf([50, 50, 1, 1], 100)).toEqual([2, 4]);
  });

  test('have two blocks at least, however large these are', () => {
    expect(endsOf([500, 500, 500, 500], 100)).toEqual([2, 4]);
    expect(endsOf([500, 500, 500], 100)).toEqual([3]);
    expect(endsOf([500], 100)).toEqual([1]);
    expect(endsOf([], 100)).toEqual([]);
  });

  test('cover a pack one after the other, whatever its blocks are', () => {
    const lengths = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(lengths, fc.integer({ min: 1, max: 900 }), (of, bufferBytes) => {
        const ends = endsOf(of, bufferBytes);
        expect(ends.at(-1)).toBe(of.length);
        for (const [i, end] of ends.entries()) {
          const first = i === 0 ? 0 : ends[i - 1]!;
          expect(end - first >= 2 || of.length < 2).toBe(true);
          // One block more than two stands in the buffer, but for a last one that stood alone.
          const bytes = of.slice(first, end - 1).reduce((sum, length) => sum + length, 0);
          expect(bytes <= bufferBytes || end - first <= 3).toBe(true);
        }
      }),
    );
  });
});
