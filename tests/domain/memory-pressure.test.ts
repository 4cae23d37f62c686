// How scarce memory is, and what is done about it in which order.

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  canReclaim,
  memoryState,
  planRemedies,
  type MemoryState,
  type Reclaimable,
} from '../../domain/memory-pressure.ts';

const free = (percent: number) => ({ bytes: 1000, freeBytes: percent * 10 });

describe('a memory', () => {
  test.each<readonly [MemoryState, number, MemoryState]>([
    ['high', 6, 'high'],
    ['high', 4, 'high'],
    ['high', 3.9, 'soft'],
    ['high', 1.9, 'hard'],
    ['high', 0.9, 'low'],
    ['soft', 5.9, 'soft'],
    ['soft', 6, 'high'],
    ['hard', 3.9, 'hard'],
    ['hard', 4, 'soft'],
    ['low', 1, 'low'],
    ['low', 2, 'hard'],
    ['low', 50, 'high'],
    ['soft', -3, 'low'],
  ])('that was %s and has %d %% free is %s', (before, percent, after) => {
    expect(memoryState(before, free(percent))).toBe(after);
  });

  test('of nothing is scarce', () => {
    expect(memoryState('high', { bytes: 0, freeBytes: 0 })).toBe('low');
  });

  test('that stays as it is stays in its state', () => {
    const state = fc.constantFrom<MemoryState>('high', 'soft', 'hard', 'low');
    fc.assert(
      fc.property(state, fc.integer({ min: -50, max: 200 }), (before, freeBytes) => {
        const once = memoryState(before, { bytes: 1000, freeBytes });
        expect(memoryState(once, { bytes: 1000, freeBytes })).toBe(once);
      }),
    );
  });
});

describe('what is done', () => {
  const all: Reclaimable = {
    'split cold': 7,
    'split sharing': 20,
    'drop unmodified': 30,
    'write out modified': 1000,
  };

  test('is more, state by state, the least costly first', () => {
    const steps = (state: MemoryState, percent: number) =>
      planRemedies(state, free(percent), all).map(({ remedy, bytes }) => [remedy, bytes]);
    expect(steps('high', 6)).toEqual([['split cold', 7]]);
    expect(steps('soft', 3)).toEqual([
      ['split cold', 7],
      ['split sharing', 20],
    ]);
    expect(steps('hard', 1.5)).toEqual([
      ['split cold', 7],
      ['split sharing', 20],
      ['drop unmodified', 18],
    ]);
    expect(steps('low', 0)).toEqual([
      ['split cold', 7],
      ['split sharing', 20],
      ['drop unmodified', 30],
      ['write out modified', 3],
    ]);
  });

  test('is no more than what is missing', () => {
    expect(planRemedies('low', free(5.5), all)).toEqual([{ remedy: 'split cold', bytes: 7 }]);
    expect(canReclaim('high', 'split sharing')).toBe(false);
    expect(canReclaim('low', 'split cold')).toBe(true);
  });
});
