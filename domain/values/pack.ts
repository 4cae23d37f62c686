// A pack: an immutable run of blocks of pages (docs/format.md, "Packs").
//
//   0   4  magic "PLPK"
//   4   4  format version, u32 little-endian: 1
//   8  64  group name, NUL padded
//  72  16  random bytes, so that two writings never share a name
//  88   8  zero
//  96   -  blocks of pages, back to back; their table stands in the event that names the pack:
//          first those of contents, then those of patterns; behind each its salt, if it has one
//          (block-salt.ts)
//
// Slots count through the blocks. A slot of a content holds the page, or, where the event names a
// reference for it, the page XOR the reference (a patch). A slot of a pattern holds its descriptor.
//
// A pack's name is the SHA-256 of its bytes in lower-case hex.

import { CODEC_SALTED, codecOf } from './block-salt.ts';
import { BLOCK_PAGES } from './page.ts';

const PACK_MAGIC = 0x4b50_4c50;
export const PACK_FORMAT = 1;
export const PACK_HEADER_BYTES = 96;
export const PACK_GROUP_BYTES = 64;
export const PACK_RANDOM_BYTES = 16;
export const PACK_NAME = /^[0-9a-f]{64}$/u;

/** How a block of pages is stored; a bit beside it says that the block is salted. */
export const CODEC_RAW = 0;
export const CODEC_ZSTD = 1;
/** Descriptors of patterns (patterns.ts), each after its length as a u16. */
export const CODEC_PATTERN = 2;
/** Packed pages (docs/format.md), of which a block has at most so many. */
export const CODEC_PACKED = 3;
export const PACKED_PAGES_MAX = 15;

/**
 * The table of a pack's blocks, as columns. Block b holds `pages[b]` pages (slots count through the
 * blocks) in `lengths[b]` bytes, right after block b - 1. `checksums` are CRC-32 (IEEE) of the
 * stored bytes. Both are with the salt.
 */
export interface BlockTable {
  readonly codecs: Uint8Array;
  readonly pages: Uint8Array;
  readonly lengths: Uint32Array;
  readonly checksums: Uint32Array;
}

/** The bytes of a pack's header. */
export function packHeader(pack: {
  readonly group: string;
  readonly random: Uint8Array;
}): Uint8Array {
  const header = new Uint8Array(PACK_HEADER_BYTES);
  const view = new DataView(header.buffer);
  view.setUint32(0, PACK_MAGIC, true);
  view.setUint32(4, PACK_FORMAT, true);
  header.set(new TextEncoder().encode(pack.group).subarray(0, PACK_GROUP_BYTES), 8);
  header.set(pack.random.subarray(0, PACK_RANDOM_BYTES), 8 + PACK_GROUP_BYTES);
  return header;
}

/** First slot and byte offset of every block of a pack, and of the end: one entry more than blocks. */
export interface BlockStarts {
  readonly slots: Uint32Array;
  readonly offsets: Uint32Array;
}

/** Where a pack's blocks start. */
export function blockStarts(blocks: BlockTable): BlockStarts {
  const count = blocks.codecs.length;
  const slots = new Uint32Array(count + 1);
  const offsets = new Uint32Array(count + 1);
  offsets[0] = PACK_HEADER_BYTES;
  for (let i = 0; i < count; i += 1) {
    slots[i + 1] = slots[i]! + blocks.pages[i]!;
    offsets[i + 1] = offsets[i]! + blocks.lengths[i]!;
  }
  return { slots, offsets };
}

/** How many of a pack's slots hold contents; those after them hold patterns. */
export function contentSlotsOf(blocks: BlockTable): number {
  let slots = 0;
  for (let i = 0; i < blocks.codecs.length && codecOf(blocks.codecs[i]!) !== CODEC_PATTERN; i += 1)
    slots += blocks.pages[i]!;
  return slots;
}

/** Whether a block of a pack is salted. */
export const areSalted = (blocks: BlockTable): boolean =>
  blocks.codecs.some((codec) => (codec & CODEC_SALTED) !== 0);

/** Whether a block of a pack is of packed pages. */
export const arePacked = (blocks: BlockTable): boolean =>
  blocks.codecs.some((codec) => codecOf(codec) === CODEC_PACKED);

/** Whether a pack's blocks are as recording stores them: compaction has long blocks, or zstd. */
export const areAsRecorded = ({ codecs, pages }: BlockTable): boolean =>
  codecs.every((codec, block) => {
    const stored = codecOf(codec);
    return stored === CODEC_PATTERN || (stored !== CODEC_ZSTD && pages[block]! <= BLOCK_PAGES);
  });

/** All slots of a pack. */
export const slotsOf = (blocks: BlockTable): number =>
  blocks.pages.reduce((sum, pages) => sum + pages, 0);

/** The rows `first` to `end` (not included) of a table. */
export const sliceBlocks = (blocks: BlockTable, first: number, end: number): BlockTable => ({
  codecs: blocks.codecs.subarray(first, end),
  pages: blocks.pages.subarray(first, end),
  lengths: blocks.lengths.subarray(first, end),
  checksums: blocks.checksums.subarray(first, end),
});

/** Short form of a pack's name for messages. */
export const packLabel = (name: string): string => `pack ${name.slice(0, 16)}`;
