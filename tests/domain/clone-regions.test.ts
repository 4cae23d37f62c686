// Which regions clones hold large when they begin.

import { describe, expect, test } from '@jest/globals';
import { regionsHeldLarge, type BeginClones } from '../../domain/clone-regions.ts';
import type { LargePages } from '../../domain/large-pages.ts';
import { PAGE_BYTES } from '../../domain/values/page.ts';

const row = { region: 1, activity: 0, shareable: 0, pattern: 0, bytes: 0 };
/** The second of four was split, the third is large again. */
const regions: LargePages = new Map([
  [0, { _tag: 'sampled', since: 1, source: 'writes' }],
  [1, { _tag: 'split', capture: 2, row }],
  [2, { _tag: 'restored', capture: 2, row: { ...row, region: 2 } }],
]);
const large = (of: Partial<BeginClones>): number[] => [
  ...regionsHeldLarge({
    holding: 'follow',
    regions,
    ownPages: [10, 500, 20, 30],
    clones: 2,
    budget: null,
    ...of,
  }),
];
const pages = (count: number): number => count * PAGE_BYTES;

describe('clones that begin', () => {
  test('hold large what was not split, or all, or nothing', () => {
    expect(large({})).toEqual([0, 2, 3]);
    expect(large({ holding: 'all' })).toEqual([0, 1, 2, 3]);
    expect(large({ holding: 'none' })).toEqual([]);
  });

  test('hold large what was not split as long as enough is free beside it', () => {
    // Two clones have 60 pages each of their own.
    const budget = (free: number) => ({ bytes: pages(1000), freeBytes: pages(free) });
    expect(large({ budget: budget(160) })).toEqual([0, 2, 3]);
    expect(large({ budget: budget(159) })).toEqual([]);
    expect(large({ clones: 3, budget: budget(160) })).toEqual([]);
  });

  test('hold all large where that is asked for, whatever is free', () => {
    expect(large({ holding: 'all', budget: { bytes: 1, freeBytes: 0 } })).toHaveLength(4);
  });
});
