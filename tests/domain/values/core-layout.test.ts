import { describe, expect, test } from '@jest/globals';
import * as either from 'fp-ts/lib/Either.js';
import { coreLayoutOf } from '../../../domain/values/core-layout.ts';
import type { MemoryMap, PhysicalRange } from '../../../domain/values/memory-map.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { layOut } from '../../../domain/values/raw-layout.ts';

const range = (block: string, page: number, offset: number, pages: number): PhysicalRange => ({
  block,
  address: page * PAGE_BYTES,
  offset: offset * PAGE_BYTES,
  length: pages * PAGE_BYTES,
});

const layoutOf = (map: MemoryMap) => {
  const layout = coreLayoutOf(map);
  if (either.isLeft(layout)) throw new Error(layout.left._tag);
  return layout.right;
};

const RAM = { name: 'pc.ram', pages: 1000 };
const ROM = { name: 'pc.bios', pages: 64 };
const DIMM = { name: 'dimm1', pages: 300 };

describe('a core', () => {
  test('has RAM in the order of its addresses, without holes, and names what it leaves out', () => {
    const ranges = [
      range('pc.ram', 0, 0, 600),
      range('pc.ram', 2 ** 30, 600, 400),
      range('pc.bios', 2 ** 20 - 64, 0, 64),
      range('dimm1', 900, 0, 300),
    ];
    const layout = layoutOf({ blocks: [RAM, ROM, DIMM], ranges });
    expect(layout.leftOut).toEqual(['pc.bios']);
    expect(layout.memoryMap).toEqual({
      blocks: [{ name: 'ram', pages: 1300 }],
      ranges: [
        range('ram', 0, 0, 600),
        range('ram', 900, 600, 300),
        range('ram', 2 ** 30, 900, 400),
      ],
    });
    const laid = layOut(
      layout,
      Uint32Array.from({ length: 1364 }, (_, gfn) => gfn),
    );
    expect([0, 599, 600, 899, 900, 1299].map((page) => laid[page])).toEqual([
      0, 599, 1064, 1363, 600, 999,
    ]);
    expect(laid.length).toBe(1300);
  });

  test('of RAM of which a part lies nobody knows where has the rest', () => {
    const layout = layoutOf({ blocks: [RAM, DIMM], ranges: [range('pc.ram', 0, 0, 1000)] });
    expect(layout).toMatchObject({ pages: 1000, leftOut: ['dimm1'] });
  });

  test('is refused where it is not known of any', () => {
    expect(coreLayoutOf({ blocks: [RAM], ranges: [range('pc.bios', 0, 0, 64)] })).toEqual(
      either.left({ _tag: 'RangesUnknown' }),
    );
  });
});
