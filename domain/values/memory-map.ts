// A VM's memory map: RAM blocks in page-number order, main RAM first, and where guest-physical
// addresses lead.

import * as either from 'fp-ts/lib/Either.js';
import { PAGE_BYTES } from './page.ts';
import type { Refusal } from './refusals.ts';

export interface MemoryBlock {
  readonly name: string;
  readonly pages: number;
}

/** A run of guest-physical addresses backed by a block: all in bytes. */
export interface PhysicalRange {
  readonly address: number;
  readonly block: string;
  readonly offset: number;
  readonly length: number;
}

export interface MemoryMap {
  readonly blocks: readonly MemoryBlock[];
  readonly ranges: readonly PhysicalRange[];
}

/** Pages of all blocks. */
export const pageCountOf = (map: MemoryMap): number =>
  map.blocks.reduce((sum, block) => sum + block.pages, 0);

/** Pages of a guest that is small enough to make a table of, whatever its captures tell of. */
const SMALL_PAGES = 2 ** 16;
/** Most pages that come with a map for one that its capture tells of. */
const PAGES_A_TOLD_ONE_MAX = 16;

/**
 * Pages that a table has from a map on, whose first capture tells of so many: as many as the map says,
 * unless nothing stands behind them. Recorders write each page that comes; a number that anybody can
 * write must not take memory.
 */
export function tablePages(of: {
  readonly before: number;
  readonly claimed: number;
  readonly told: number;
}): number {
  const { before, claimed, told } = of;
  const most = Math.max(SMALL_PAGES, before + PAGES_A_TOLD_ONE_MAX * told);
  return Math.max(before, Math.min(claimed, most));
}

/** What a block is for. */
export type BlockKind = 'ram' | 'rom' | 'video' | 'unknown';

/** Smallest block that is RAM without being called so: QEMU's smallest DIMM. */
const RAM_PAGES_MIN = 256;
const ROM = /rom|bios|flash|firmware/u;
const VIDEO = /vram|vga|video|framebuffer|qxl|blob/u;

/**
 * The kind of a block by its name: QEMU names those of devices by their path or their purpose, and
 * RAM by the machine (`pc.ram`) or as the user does (`-object memory-backend-ram,id=node0`).
 */
export function kindOfBlock({ name, pages }: MemoryBlock): BlockKind {
  const word = name.toLowerCase();
  if (word.startsWith('/rom@') || ROM.test(word)) return 'rom';
  if (VIDEO.test(word)) return 'video';
  if (word.includes('/') && !word.endsWith('.ram')) return 'unknown';
  return pages >= RAM_PAGES_MIN || word.endsWith('ram') ? 'ram' : 'unknown';
}

/** Pages of main RAM, the first block. */
export const mainPagesOf = (map: MemoryMap): number => map.blocks[0]?.pages ?? 0;

/** One block of RAM from address 0: what a raw image tells of its VM. */
export const flatMap = (pages: number): MemoryMap => ({
  blocks: [{ name: 'ram', pages }],
  ranges: [{ address: 0, block: 'ram', offset: 0, length: pages * PAGE_BYTES }],
});

const isSameBlock = (a: MemoryBlock, b: MemoryBlock | undefined): boolean =>
  a.name === b?.name && a.pages === b.pages;

/**
 * Whether a capture of the later map can stand in a VM of the earlier one: it has the same blocks in
 * the same order, and perhaps further ones behind them, so that every page keeps its number.
 */
export const isContinued = (earlier: MemoryMap, later: MemoryMap): boolean =>
  earlier.blocks.every((block, i) => isSameBlock(block, later.blocks[i]));

/** Whether the later map has blocks behind those of the earlier one: a DIMM was plugged in. */
export const isExtended = (earlier: MemoryMap, later: MemoryMap): boolean =>
  isContinued(earlier, later) && later.blocks.length > earlier.blocks.length;

/**
 * Blocks in the order of a VM that has some of them: those first, then the others as they come. The
 * blocks as they are where the VM's are not all among them.
 */
export function inOrderOf(
  known: readonly MemoryBlock[],
  blocks: readonly MemoryBlock[],
): readonly MemoryBlock[] {
  const isAmong = (some: readonly MemoryBlock[], block: MemoryBlock): boolean =>
    some.some((each) => isSameBlock(each, block));
  if (!known.every((block) => isAmong(blocks, block))) return blocks;
  return [...known, ...blocks.filter((block) => !isAmong(known, block))];
}

/** Whether guest-physical addresses lead to the same places. */
export const isSameRanges = (a: MemoryMap, b: MemoryMap): boolean =>
  a.ranges.length === b.ranges.length &&
  a.ranges.every((range, i) => {
    const other = b.ranges[i]!;
    return (
      range.address === other.address &&
      range.block === other.block &&
      range.offset === other.offset &&
      range.length === other.length
    );
  });

/** The gfn that holds a guest-physical address. */
export function gfnOfAddress(
  map: MemoryMap,
  address: number,
): either.Either<Refusal, { readonly gfn: number; readonly offset: number }> {
  const range = map.ranges.find((r) => address >= r.address && address < r.address + r.length);
  if (range === undefined) return either.left({ _tag: 'AddressUnmapped', address });
  let first = 0;
  for (const block of map.blocks) {
    if (block.name === range.block) {
      const within = range.offset + (address - range.address);
      return either.right({
        gfn: first + Math.floor(within / PAGE_BYTES),
        offset: within % PAGE_BYTES,
      });
    }
    first += block.pages;
  }
  return either.left({ _tag: 'AddressUnmapped', address });
}

/** The guest-physical address at which a page begins; null: no address leads to it. */
export function addressOfGfn(map: MemoryMap, gfn: number): number | null {
  let first = 0;
  for (const block of map.blocks) {
    if (gfn < first + block.pages) {
      const offset = (gfn - first) * PAGE_BYTES;
      const range = map.ranges.find(
        (r) => r.block === block.name && offset >= r.offset && offset < r.offset + r.length,
      );
      return range === undefined ? null : range.address + offset - range.offset;
    }
    first += block.pages;
  }
  return null;
}
