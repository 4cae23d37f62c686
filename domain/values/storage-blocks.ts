// Storage blocks: blocks of pages that lie side by side in a pack and are read as one. Of a checkpoint's
// own packs its map says them (layout-map.ts); any other pack is seen as cut by the same rule.
//
// Invariant: a storage block has two blocks of pages at least, where its pack has them.

/** Bytes of the staging buffer that a storage block is filled in. */
export const STAGING_BLOCK_BYTES = 128 * 1024;
/** Blocks of pages that a storage block has at least. */
const BLOCKS_MIN = 2;

/**
 * Cuts a pack's blocks, by their stored lengths, into storage blocks as a staging buffer of so many
 * bytes does: the number of the block after the last one of each. O(blocks).
 */
export function storageBlockEnds(lengths: Uint32Array, bufferBytes: number): Uint32Array {
  const ends: number[] = [];
  let first = 0;
  let bytes = 0;
  for (const [block, lengthBytes] of lengths.entries()) {
    if (block - first >= BLOCKS_MIN && bytes + lengthBytes > bufferBytes) {
      ends.push(block);
      first = block;
      bytes = 0;
    }
    bytes += lengthBytes;
  }
  if (lengths.length === 0) return new Uint32Array(0);
  // A last one alone is read with those before it.
  if (lengths.length - first < BLOCKS_MIN) ends.pop();
  ends.push(lengths.length);
  return Uint32Array.from(ends);
}
