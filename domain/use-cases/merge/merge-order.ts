// The order in which blocks of merged packs are stored. First the newest version of each page of the VM,
// by gfn, and behind them the older ones: a point after what was merged needs none of those, and of the
// others it reads neighbours together. Then what is no page of memory, and last the patterns, which
// follow the contents in every pack.
//
// Blocks are copied as they are, whole. So a pack of which a block lies elsewhere in part is left alone.

import { codecOf } from '../../values/block-salt.ts';
import { UNKNOWN, type Holding } from '../../values/holding.ts';
import { blockStarts, CODEC_PATTERN } from '../../values/pack.ts';
import { placeAt } from '../../values/place.ts';
import type { ReadPack } from '../../ports/models.ts';
import { NO_GFN, type ContentPlaces } from '../compact/models.ts';
import type { SlotsTogether } from '../compact/pack-limits.ts';
import type { RewrittenSlot } from '../compact/slot-sources.ts';

/** A block of a pack that is merged with others. */
export interface MergedBlock extends SlotsTogether {
  readonly pack: ReadPack;
  readonly block: number;
  readonly offsetBytes: number;
}

/** What a slot stands for, and what it is a patch of; null: it does not lie there; undefined: it is not known. */
function slotAt(places: ContentPlaces, place: number): RewrittenSlot | null | undefined {
  const holding = places.holdingOfSlot(place);
  if (holding === UNKNOWN) return undefined;
  if (places.placeOf(holding) !== place) return null;
  const reference = places.referenceAt(place);
  return reference === UNKNOWN ? undefined : { holding, reference };
}

/** The blocks of a pack in which something lies; null: it cannot be merged. */
export function blocksOf(places: ContentPlaces, ordinal: number): MergedBlock[] | null {
  const pack = places.packAt(placeAt(ordinal, 0));
  const { slots: firsts, offsets } = blockStarts(pack.blocks);
  const blocks: MergedBlock[] = [];
  for (let block = 0; block < pack.blocks.codecs.length; block += 1) {
    const lying: RewrittenSlot[] = [];
    const count = pack.blocks.pages[block]!;
    for (let i = 0; i < count; i += 1) {
      const slot = slotAt(places, placeAt(ordinal, firsts[block]! + i));
      if (slot === undefined) return null;
      if (slot !== null) lying.push(slot);
    }
    if (lying.length === 0) continue;
    if (lying.length < count) return null;
    blocks.push({
      pack,
      block,
      offsetBytes: offsets[block]!,
      slots: lying,
      isOfPatterns: codecOf(pack.blocks.codecs[block]!) === CODEC_PATTERN,
    });
  }
  return blocks;
}

/** Where a block comes: of patterns or not, of a page of memory or not, older or not, and then by its gfn. */
interface Key {
  readonly merged: MergedBlock;
  readonly first: Holding;
  readonly gfn: number;
  readonly rank: number;
}

/** The blocks in the order to store them in. `gfnOf`: where a content was written; NO_GFN: nowhere. */
export function mergeOrder(
  blocks: readonly MergedBlock[],
  gfnOf: (holding: Holding) => number,
): MergedBlock[] {
  const newest = new Map<number, Holding>();
  for (const { slots } of blocks)
    for (const { holding } of slots) {
      const gfn = gfnOf(holding);
      if (gfn !== NO_GFN && holding > (newest.get(gfn) ?? -1)) newest.set(gfn, holding);
    }
  const rankOf = ({ slots, isOfPatterns }: MergedBlock): number => {
    if (isOfPatterns) return 3;
    const gfns = slots.map(({ holding }) => gfnOf(holding));
    if (gfns.every((gfn) => gfn === NO_GFN)) return 2;
    return gfns.some((gfn, i) => newest.get(gfn) === slots[i]!.holding) ? 0 : 1;
  };
  const keys: Key[] = blocks.map((merged) => {
    const rank = rankOf(merged);
    const first = merged.slots[0]!.holding;
    return { merged, first, gfn: rank < 2 ? gfnOf(first) : 0, rank };
  });
  return keys
    .toSorted((a, b) => a.rank - b.rank || a.gfn - b.gfn || a.first - b.first)
    .map(({ merged }) => merged);
}
