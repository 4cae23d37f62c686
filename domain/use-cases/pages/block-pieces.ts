// What has to be read of packs for some blocks of a plan: runs of blocks near each other, each read as
// one range.

import { packOfBlock, type PagePlan, type PlannedPack } from './page-plan.ts';

/** Blocks of a pack near each other. */
export interface BlockPiece {
  readonly pack: PlannedPack;
  /** Of the blocks asked for, the first one and the one after the last. */
  readonly first: number;
  readonly end: number;
  /** Where they lie in the pack, or in the bytes at hand. */
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

/** How far a piece goes. */
export interface PieceLimits {
  /** Unneeded bytes between two needed blocks that are read rather than skipped. */
  readonly gapBytesMax: number;
  /** No block ends beyond so many bytes, but the first one. */
  readonly bytesMax: number;
}

/** Pieces of stores that are asked for ranges. */
export const RANGES: PieceLimits = { gapBytesMax: 64 * 1024, bytesMax: 1024 * 1024 };
/** Pieces of files, where a read costs little. */
export const FILE_READS: PieceLimits = { gapBytesMax: 16 * 1024, bytesMax: 1024 * 1024 };

/** Where a block of a pack begins and ends. */
export function spanOf(
  { firstBlock, starts }: PlannedPack,
  block: number,
): { readonly offsetBytes: number; readonly endBytes: number } {
  const at = block - firstBlock;
  return { offsetBytes: starts.offsets[at]!, endBytes: starts.offsets[at + 1]! };
}

/** The pieces of blocks, whose numbers ascend. */
export function piecesOf(
  plan: PagePlan,
  blocks: Uint32Array,
  { gapBytesMax, bytesMax }: PieceLimits = RANGES,
): BlockPiece[] {
  const pieces: BlockPiece[] = [];
  for (let first = 0; first < blocks.length;) {
    const pack = packOfBlock(plan, blocks[first]!);
    const endOfPack = pack.firstBlock + pack.table.lengths.length;
    const { offsetBytes, endBytes } = spanOf(pack, blocks[first]!);
    let end = first + 1;
    let reached = endBytes;
    for (; end < blocks.length && blocks[end]! < endOfPack; end += 1) {
      const next = spanOf(pack, blocks[end]!);
      const isFar =
        next.offsetBytes - reached > gapBytesMax || next.endBytes - offsetBytes > bytesMax;
      if (isFar) break;
      reached = next.endBytes;
    }
    pieces.push({ pack, first, end, offsetBytes, lengthBytes: reached - offsetBytes });
    first = end;
  }
  return pieces;
}
