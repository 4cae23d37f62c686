import { describe, expect, test } from '@jest/globals';
import type { MemoryMap } from '../../../domain/values/memory-map.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { VmEntry } from '../../../projections/models/vm-entry.ts';
import { placesOfAddress, versionsAt } from '../../../projections/questions/address-places.ts';

const blocks = [
  { name: 'ram', pages: 4 },
  { name: 'rom', pages: 4 },
];

/** A map in which the first page of memory is the one of a block with this number. */
const mapTo = (block: string | null, page = 0): MemoryMap => ({
  blocks,
  ranges:
    block === null
      ? []
      : [{ address: 0, block, offset: page * PAGE_BYTES, length: 2 * PAGE_BYTES }],
});

function entryOf(...maps: readonly (readonly [number, MemoryMap])[]): VmEntry {
  const entry = new VmEntry('web');
  entry.maps.push(...maps.map(([capture, memoryMap]) => ({ capture, memoryMap, pages: 8 })));
  return entry;
}

describe('the pages that an address led to', () => {
  test('follow the memory map of each capture, neighbours that are one page joined', () => {
    const entry = entryOf(
      [1, mapTo('ram')],
      [3, mapTo('rom')],
      [4, mapTo('rom')],
      [9, mapTo('ram')],
    );
    expect(placesOfAddress(entry, PAGE_BYTES + 5)).toEqual([
      { gfn: 1, from: 1, to: 3 },
      { gfn: 5, from: 3, to: 9 },
      { gfn: 1, from: 9, to: null },
    ]);
  });

  test('are none where it led nowhere', () => {
    const entry = entryOf([1, mapTo(null)], [3, mapTo('ram')], [5, mapTo(null)], [6, mapTo('ram')]);
    expect(placesOfAddress(entry, 0)).toEqual([
      { gfn: 0, from: 3, to: 5 },
      { gfn: 0, from: 6, to: null },
    ]);
    expect(placesOfAddress(entry, 3 * PAGE_BYTES)).toEqual([]);
  });
});

describe('what an address held', () => {
  const versions = [1, 4, 6, 8].map((capture) => ({ capture }));
  const told = (from: number, to: number | null) =>
    versionsAt({ gfn: 0, from, to }, versions).map((version) => [version.capture, version.from]);

  test('is what its page held already when it came to it, and what it held until it left', () => {
    expect(told(5, 8)).toEqual([
      [4, 5],
      [6, 6],
    ]);
    expect(told(6, null)).toEqual([
      [6, 6],
      [8, 8],
    ]);
    expect(told(9, null)).toEqual([[8, 9]]);
  });

  test('is nothing before its page was first written', () => {
    const later = [{ capture: 7 }];
    expect(versionsAt({ gfn: 0, from: 3, to: null }, later)).toEqual([{ capture: 7, from: 7 }]);
    expect(versionsAt({ gfn: 0, from: 3, to: 7 }, later)).toEqual([]);
  });
});
