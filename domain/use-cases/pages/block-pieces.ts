// What has to be read of packs for some places: runs of blocks near each other, each read as one range
// and decoded block by block.

import { blockStarts, type BlockStarts } from '../../values/pack.ts';
import { ordinalAt, slotAt } from '../../values/place.ts';
import type { PageLocator, ReadPack } from '../../ports/models.ts';
import { lastWhere } from '../../values/sorted-search.ts';

/** Unneeded bytes between two needed blocks that are read rather than skipped. */
const GAP_BYTES_MAX = 64 * 1024;

/** Consecutive blocks of a pack, and which of the places lie in them. */
export interface BlockPiece {
  readonly pack: ReadPack;
  readonly firstBlock: number;
  endBlock: number;
  readonly firstSlot: number;
  readonly offsetBytes: number;
  lengthBytes: number;
  /** Of the places, the first one and the one after the last. */
  readonly first: number;
  end: number;
}

/** Pages of the blocks read as one piece (2 MiB), but for the last block. */
export const PIECE_PAGES = 512;

/** The block that a slot lies in. O(log blocks). */
export const blockOf = ({ slots }: BlockStarts, slot: number): number =>
  lastWhere(slots.length - 1, (block) => slots[block]! <= slot);

/**
 * The pieces of places, which ascend and may repeat; each of at most about `pagesMax` pages: no block
 * begins beyond that, and with 1 each has one block. O(places + blocks that lie between them).
 */
export function* piecesOf(
  locator: PageLocator,
  places: Float64Array,
  {
    pagesMax = PIECE_PAGES,
    startsOf = ({ blocks }) => blockStarts(blocks),
  }: {
    readonly pagesMax?: number;
    readonly startsOf?: (pack: ReadPack) => BlockStarts;
  } = {},
): Generator<BlockPiece> {
  let pack: ReadPack | null = null;
  let starts: BlockStarts | null = null;
  let block = 0;
  let piece: BlockPiece | null = null;
  for (const [i, place] of places.entries()) {
    const ordinal = ordinalAt(place);
    if (pack === null || starts === null || ordinal !== pack.ordinal) {
      if (piece !== null) yield piece;
      piece = null;
      pack = locator.packAt(place);
      starts = startsOf(pack);
      block = blockOf(starts, slotAt(place));
    }
    const { slots, offsets } = starts;
    while (slotAt(place) >= slots[block + 1]!) block += 1;
    const isFar =
      piece !== null &&
      ((block >= piece.endBlock && slots[block]! - piece.firstSlot >= pagesMax) ||
        offsets[block]! - (piece.offsetBytes + piece.lengthBytes) > GAP_BYTES_MAX);
    if (piece !== null && isFar) {
      yield piece;
      piece = null;
    }
    piece ??= {
      pack,
      firstBlock: block,
      endBlock: block,
      firstSlot: slots[block]!,
      offsetBytes: offsets[block]!,
      lengthBytes: 0,
      first: i,
      end: i,
    };
    piece.endBlock = block + 1;
    piece.lengthBytes = offsets[block + 1]! - piece.offsetBytes;
    piece.end = i + 1;
  }
  if (piece !== null) yield piece;
}
