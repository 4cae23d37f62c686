// When a trace tells all that a guest uses.

import { expect, test } from '@jest/globals';
import type { PageNeighbours } from '../../../../domain/use-cases/serve/page-neighbours.ts';
import { isWholeTrace } from '../../../../domain/use-cases/serve/whole-trace.ts';

const STORAGE_PAGES = 32;

/** Storage blocks of so many pages each, one behind the other. */
const neighbours: PageNeighbours = {
  block: (page) => Uint32Array.of(page),
  storageBlock: (page) => {
    const first = page - (page % STORAGE_PAGES);
    return Uint32Array.from({ length: STORAGE_PAGES }, (_, i) => first + i);
  },
  inStorageOrder: () => [][Symbol.iterator](),
};

test('a trace of one page of each storage block tells where a guest began, one of more all that it uses', () => {
  const firsts = Array.from({ length: 20 }, (_, n) => n * STORAGE_PAGES);
  expect(isWholeTrace(new Set(firsts), neighbours)).toBe(false);
  const seconds = firsts.map((page) => page + 7);
  expect(isWholeTrace(new Set([...firsts, ...seconds]), neighbours)).toBe(true);
  // One page less is one too few.
  expect(isWholeTrace(new Set([...firsts, ...seconds.slice(1)]), neighbours)).toBe(false);
});

test('a trace of nothing tells nothing', () => {
  expect(isWholeTrace(new Set(), neighbours)).toBe(false);
});
