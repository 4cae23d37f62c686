import { describe, expect, test } from '@jest/globals';
import * as either from 'fp-ts/lib/Either.js';
import type { MemoryMap, PhysicalRange } from '../../../domain/values/memory-map.ts';
import { kindOfBlock } from '../../../domain/values/memory-map.ts';
import {
  isAtAddresses,
  layOut,
  rawLayoutOf,
  type RawLayoutName,
} from '../../../domain/values/raw-layout.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';

const range = (block: string, page: number, offset: number, pages: number): PhysicalRange => ({
  block,
  address: page * PAGE_BYTES,
  offset: offset * PAGE_BYTES,
  length: pages * PAGE_BYTES,
});

const layoutOf = (map: MemoryMap, asked: RawLayoutName | null = null) => {
  const layout = rawLayoutOf(map, asked);
  if (either.isLeft(layout)) throw new Error(layout.left._tag);
  return layout.right;
};

const ROM = { name: 'pc.bios', pages: 64 };
const RAM = { name: 'pc.ram', pages: 1000 };

describe('a raw image', () => {
  test('of RAM that lies from address 0 is packed, and leaves out what is no RAM', () => {
    const map = { blocks: [RAM, ROM], ranges: [range('pc.ram', 0, 0, 1000)] };
    const layout = layoutOf(map);
    expect(layout).toMatchObject({ name: 'packed', pages: 1000, leftOut: ['pc.bios'] });
    const table = Uint32Array.from({ length: 1064 }, (_, page) => page);
    expect(layOut(layout, table)).toEqual(table.subarray(0, 1000));
  });

  test('of RAM below and above a hole has it at its addresses, and zeros between', () => {
    const ranges = [range('pc.ram', 0, 0, 600), range('pc.ram', 900, 600, 400)];
    const map = { blocks: [RAM, ROM], ranges };
    const layout = layoutOf(map);
    expect(layout).toMatchObject({ name: 'physical', pages: 1300, leftOut: ['pc.bios'] });
    const laid = layOut(
      layout,
      Uint32Array.from({ length: 1064 }, (_, page) => page + 1),
    );
    expect([laid[0], laid[599], laid[600], laid[899], laid[900], laid[1299]]).toEqual([
      1, 600, 0, 0, 601, 1000,
    ]);
    expect(layoutOf(map, 'packed')).toMatchObject({ name: 'packed', pages: 1000 });
  });

  test('lies at its addresses where the file has the holes too, or there are none', () => {
    const isAt = (map: MemoryMap, asked: RawLayoutName | null = null): boolean =>
      isAtAddresses(layoutOf(map, asked), map);
    const low = [range('pc.ram', 0, 0, 600), range('pc.ram', 900, 600, 400)];
    const split = { blocks: [RAM, ROM], ranges: low };
    expect([isAt(split), isAt(split, 'packed')]).toEqual([true, false]);
    expect(isAt({ blocks: [RAM], ranges: [range('pc.ram', 0, 0, 1000)] })).toBe(true);
    expect(isAt({ blocks: [RAM], ranges: [range('pc.ram', 0, 0, 600)] })).toBe(false);
    // Where no addresses are known, a machine has none of its holes as low as that.
    const unknown = (pages: number) => ({ blocks: [{ name: 'ram', pages }], ranges: [] });
    expect([isAt(unknown(720_896)), isAt(unknown(720_897))]).toEqual([true, false]);
  });

  test('has RAM also where firmware and video memory are seen instead', () => {
    const ranges = [
      range('pc.ram', 0, 0, 160),
      range('pc.bios', 240, 0, 16),
      range('pc.ram', 256, 256, 744),
    ];
    const layout = layoutOf({ blocks: [RAM, ROM], ranges }, 'physical');
    expect(layout.pieces).toEqual([{ gfn: 0, page: 0, pages: 1000 }]);
  });

  test('of several blocks of RAM has them all, packed where it is not known where they lie', () => {
    const blocks = [{ name: 'm0', pages: 300 }, { name: 'm1', pages: 300 }, ROM];
    const known = { blocks, ranges: [range('m0', 0, 0, 300)] };
    expect(layoutOf(known)).toMatchObject({ name: 'packed', pages: 600, leftOut: ['pc.bios'] });
    expect(layoutOf(known, 'physical')).toMatchObject({ pages: 300, leftOut: ['m1', 'pc.bios'] });
    const dimm = { blocks, ranges: [...known.ranges, range('m1', 5000, 0, 300)] };
    expect(layoutOf(dimm)).toMatchObject({ name: 'physical', pages: 5300, leftOut: ['pc.bios'] });
  });

  test('with RAM at addresses is refused where none are known, or where holes would be all of it', () => {
    const unknown = rawLayoutOf({ blocks: [RAM], ranges: [] }, 'physical');
    expect(unknown).toEqual(either.left({ _tag: 'RangesUnknown' }));
    const far = { blocks: [RAM], ranges: [range('pc.ram', 2 ** 40, 0, 1000)] };
    expect(either.isLeft(rawLayoutOf(far, 'physical'))).toBe(true);
    expect(layoutOf(far)).toMatchObject({ name: 'packed', pages: 1000 });
  });
});

test.each([
  ['pc.ram', 65_536, 'ram'],
  ['mach-virt.ram', 65_536, 'ram'],
  ['ram-node1', 4096, 'ram'],
  ['dimm1', 4096, 'ram'],
  ['/rom@etc/acpi/tables', 32, 'rom'],
  ['pc.bios', 64, 'rom'],
  ['system.flash0', 1024, 'rom'],
  ['0000:00:03.0/e1000.rom', 64, 'rom'],
  ['0000:00:02.0/vga.vram', 4096, 'video'],
  ['vga.vram', 4096, 'video'],
  ['0000:00:04.0/ivshmem', 4096, 'unknown'],
  ['tpm-ppi', 1, 'unknown'],
] as const)('a block called %s of %d pages is %s', (name, pages, kind) => {
  expect(kindOfBlock({ name, pages })).toBe(kind);
});
