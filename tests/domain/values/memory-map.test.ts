import { describe, expect, test } from '@jest/globals';
import * as either from 'fp-ts/lib/Either.js';
import fc from 'fast-check';
import {
  flatMap,
  gfnOfAddress,
  inOrderOf,
  isContinued,
  isExtended,
  mainPagesOf,
  pageCountOf,
  type MemoryMap,
} from '../../../domain/values/memory-map.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';

const GIB = 2 ** 30;
const MIB = 2 ** 20;

/** A PC with 4 GiB: RAM lies below 3 GiB and again from 4 GiB, and its video RAM in between. */
const PC: MemoryMap = {
  blocks: [
    { name: 'pc.ram', pages: (4 * GIB) / PAGE_BYTES },
    { name: 'vga.vram', pages: (16 * MIB) / PAGE_BYTES },
  ],
  ranges: [
    { address: 0, block: 'pc.ram', offset: 0, length: 3 * GIB },
    { address: 0xfd00_0000, block: 'vga.vram', offset: 0, length: 16 * MIB },
    { address: 4 * GIB, block: 'pc.ram', offset: 3 * GIB, length: GIB },
  ],
};

describe('a memory map', () => {
  test('numbers pages through its blocks, main RAM first', () => {
    expect(pageCountOf(PC)).toBe(1_048_576 + 4096);
    expect(mainPagesOf(PC)).toBe(1_048_576);
    expect(pageCountOf({ blocks: [], ranges: [] })).toBe(0);
    expect(mainPagesOf({ blocks: [], ranges: [] })).toBe(0);
  });

  test.each([
    ['the first byte', 0, 0, 0],
    ['inside a page', 0x1234, 1, 0x234],
    ['the last byte below the hole', 3 * GIB - 1, 786_431, 4095],
    ['the first byte above 4 GiB', 4 * GIB, 786_432, 0],
    ['the last byte of RAM', 5 * GIB - 1, 1_048_575, 4095],
    ['video RAM', 0xfd00_0000 + 5 * PAGE_BYTES + 7, 1_048_576 + 5, 7],
  ])('finds %s', (_, address, gfn, offset) => {
    expect(gfnOfAddress(PC, address)).toEqual(either.right({ gfn, offset }));
  });

  test.each([3 * GIB, 0xfcff_ffff, 0xfe00_0000, 4 * GIB - 1, 5 * GIB, -1, 2 ** 60])(
    'has nothing at %d',
    (address) => {
      expect(gfnOfAddress(PC, address)).toEqual(either.left({ _tag: 'AddressUnmapped', address }));
    },
  );

  test('has nothing where a range leads to a block that it does not have', () => {
    const lost: MemoryMap = { ...PC, blocks: [PC.blocks[0]!] };
    expect(either.isLeft(gfnOfAddress(lost, 0xfd00_0000))).toBe(true);
  });

  test('of one block maps every address to its own page', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 2 ** 20 }),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        (pages, share) => {
          const address = Math.floor(share * pages * PAGE_BYTES);
          expect(gfnOfAddress(flatMap(pages), address)).toEqual(
            either.right({ gfn: Math.floor(address / PAGE_BYTES), offset: address % PAGE_BYTES }),
          );
        },
      ),
    );
  });
});

describe('a memory map continues another', () => {
  const DIMM = { name: 'dimm0', pages: 512 };
  const grown: MemoryMap = { ...PC, blocks: [...PC.blocks, DIMM] };

  test('where blocks, sizes and order are the same, wherever they are mapped', () => {
    expect(isContinued(PC, { ...PC, ranges: [] })).toBe(true);
    expect(isContinued(PC, { ...PC, blocks: PC.blocks.toReversed() })).toBe(false);
    expect(isContinued(PC, { ...PC, blocks: [PC.blocks[0]!] })).toBe(false);
    expect(isContinued(flatMap(4), flatMap(5))).toBe(false);
    expect(isContinued({ blocks: [{ name: 'a', pages: 4 }], ranges: [] }, flatMap(4))).toBe(false);
  });

  test('where blocks were added at the end, and nowhere else', () => {
    expect(isContinued(PC, grown)).toBe(true);
    expect(isExtended(PC, grown)).toBe(true);
    expect(isExtended(PC, { ...PC, ranges: [] })).toBe(false);
    expect(isContinued(grown, PC)).toBe(false);
    const [main, ...others] = PC.blocks;
    expect(isContinued(PC, { ...PC, blocks: [main!, DIMM, ...others] })).toBe(false);
  });
});

describe('blocks in the order of a VM', () => {
  const [a, b, c] = ['a', 'b', 'c'].map((name) => ({ name, pages: 4 }));

  test('are those that it has, and then what is new as it comes', () => {
    expect(inOrderOf([c!, a!], [a!, b!, c!])).toEqual([c, a, b]);
    expect(inOrderOf([], [a!, b!])).toEqual([a, b]);
  });

  test('are as they come where one of its blocks is not there, or of another size', () => {
    expect(inOrderOf([c!, a!], [a!, b!])).toEqual([a, b]);
    expect(inOrderOf([{ ...a!, pages: 5 }], [b!, a!])).toEqual([b, a]);
  });
});
