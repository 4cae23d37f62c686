// Entries of x86-64 page tables: eight bytes each, 512 a table, in tables of 4 or 5 levels. Bit 0: there
// is something; bit 5: it was accessed, bit 6: written, since these bits were cleared; bit 7, on the levels
// of 1 GiB and 2 MiB: it is a large page; bits 12 to 51: the frame. Frames are plain numbers: they fit.

import { PAGE_BYTES } from '../values/page.ts';

export const ENTRIES = 512;
export const ENTRY_BYTES = 8;
const PRESENT = 1;
const ACCESSED = 0x20;
const DIRTY = 0x40;
const LARGE = 0x80;
/** Linux: what is there and may not be touched for now. */
const NO_ACCESS = 0x100;
const HIGH_BITS = 0xf_ffff;
/** Frames that one bit of an entry's upper half is worth. */
const HIGH_FRAMES = 2 ** 20;
/** log2 of the entries of a table. */
const ENTRY_SHIFT = 9;

/** Frames that an entry of a level covers: level 1 is that of single pages. */
export const framesOf = (level: number): number => 2 ** (ENTRY_SHIFT * (level - 1));

/** The entry of an address in a table of a level. */
export const entryOf = (address: bigint, level: number): number =>
  Number((address >> BigInt(12 + ENTRY_SHIFT * (level - 1))) & 511n);

/** Whether it leads anywhere. */
export const isPresent = (low: number): boolean => (low & PRESENT) !== 0;

/** Whether a page is there though nothing may touch it. */
export const isWithoutAccess = (low: number): boolean =>
  (low & PRESENT) === 0 && (low & NO_ACCESS) !== 0;

/** Whether the processor has said of it that it was read or written. */
export const isAccessed = (low: number): boolean => (low & ACCESSED) !== 0;

/** Whether it has said that it was written. */
export const isDirty = (low: number): boolean => (low & DIRTY) !== 0;

/** Whether it is a page itself, and no further table. */
export const isLeaf = (low: number, level: number): boolean =>
  level === 1 || (level <= 3 && (low & LARGE) !== 0);

/** The frame that it leads to; of a large page the first. */
export function frameIn(low: number, high: number, level: number): number {
  const frame = (high & HIGH_BITS) * HIGH_FRAMES + (low >>> 12);
  // Low bits of a large page's address are attributes.
  return isLeaf(low, level) ? frame - (frame % framesOf(level)) : frame;
}

/** The frame of a page that nothing may touch: Linux keeps its bits turned round. */
export const turnedFrame = (low: number, high: number): number => frameIn(~low, ~high, 1);

/** A table as a view of its entries. */
export const tableView = (page: Uint8Array): DataView =>
  new DataView(page.buffer, page.byteOffset, PAGE_BYTES);
