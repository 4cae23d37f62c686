// The table of a pack's blocks as columns of fixed widths, one behind the other: codecs (u8), pages (u8),
// lengths (u32), CRC-32 of the stored bytes (u32). Little-endian.

import type { BlockTable } from '../values/pack.ts';

/** Bytes of a block in all columns. */
export const BLOCK_ROW_BYTES = 1 + 1 + 4 + 4;

/** Where columns of so many blocks begin that lie at `at`. */
const placesOf = (at: number, count: number) => ({
  pages: at + count,
  lengths: at + 2 * count,
  checksums: at + 6 * count,
});

/** Puts a table at `at`, where BLOCK_ROW_BYTES are free for each of its blocks. */
export function putBlocks(bytes: Uint8Array, at: number, blocks: BlockTable): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const count = blocks.codecs.length;
  const { pages, lengths, checksums } = placesOf(at, count);
  bytes.set(blocks.codecs, at);
  bytes.set(blocks.pages, pages);
  for (let i = 0; i < count; i += 1) {
    view.setUint32(lengths + 4 * i, blocks.lengths[i]!, true);
    view.setUint32(checksums + 4 * i, blocks.checksums[i]!, true);
  }
}

/** The table of so many blocks at `at`, where there are BLOCK_ROW_BYTES for each. */
export function blocksAt(bytes: Uint8Array, at: number, count: number): BlockTable {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const { pages, lengths, checksums } = placesOf(at, count);
  const words = (first: number): Uint32Array => {
    const values = new Uint32Array(count);
    for (let i = 0; i < count; i += 1) values[i] = view.getUint32(first + 4 * i, true);
    return values;
  };
  return {
    codecs: bytes.slice(at, pages),
    pages: bytes.slice(pages, lengths),
    lengths: words(lengths),
    checksums: words(checksums),
  };
}
