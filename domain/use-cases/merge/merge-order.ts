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
import type { RewrittenSlot } from '../compact/home-columns.ts';
import type { SlotsTogether } from '../compact/pack-limits.ts';

/** A block of a pack that is merged with others. */
export interface MergedBlock extends SlotsTogether {
  readonly pack: ReadPack;
  readonly block: number;
  readonly offsetBytes: number;
  /** What its slots stand for. */
  readonly holdings: readonly Holding[];
}

/** What a slot stands for, and what it is a patch of; null: it does not lie there; undefined: it is not known. */
function slotAt(
  places: ContentPlaces,
  place: number,
): (RewrittenSlot & { holding: Holding }) | null | undefined {
  const holding = places.holdingOfSlot(place);
  if (holding === UNKNOWN) return undefined;
  if (places.placeOf(holding) !== place) return null;
  const of = places.referenceAt(place);
  if (of === UNKNOWN) return undefined;
  const reference = of === null ? null : places.reference(of);
  return { holding, home: places.reference(holding), reference };
}

/** The blocks of a pack in which something lies; null: it cannot be merged. */
export function blocksOf(places: ContentPlaces, ordinal: number): MergedBlock[] | null {
  const pack = places.packAt(placeAt(ordinal, 0));
  const { slots: firsts, offsets } = blockStarts(pack.blocks);
  const blocks: MergedBlock[] = [];
  for (let block = 0; block < pack.blocks.codecs.length; block += 1) {
    const lying: (RewrittenSlot & { holding: Holding })[] = [];
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
      holdings: lying.map(({ holding }) => holding),
      slots: lying.map(({ home, reference }) => ({ home, reference })),
      isOfPatterns: codecOf(pack.blocks.codecs[block]!) === CODEC_PATTERN,
    });
  }
  return blocks;
}

/** Where a block comes: of patterns or not, of a page of memory or not, older or not, and then by its gfn. */
interface Key {
  readonly merged: MergedBlock;
  readonly gfn: number;
  readonly rank: number;
}

/** The blocks in the order to store them in. `gfnOf`: where a content was written; NO_GFN: nowhere. */
export function mergeOrder(
  blocks: readonly MergedBlock[],
  gfnOf: (holding: Holding) => number,
): MergedBlock[] {
  const newest = new Map<number, Holding>();
  for (const { holdings } of blocks)
    for (const holding of holdings) {
      const gfn = gfnOf(holding);
      if (gfn !== NO_GFN && holding > (newest.get(gfn) ?? -1)) newest.set(gfn, holding);
    }
  const rankOf = ({ holdings, isOfPatterns }: MergedBlock): number => {
    if (isOfPatterns) return 3;
    const gfns = holdings.map((holding) => gfnOf(holding));
    if (gfns.every((gfn) => gfn === NO_GFN)) return 2;
    return gfns.some((gfn, i) => newest.get(gfn) === holdings[i]) ? 0 : 1;
  };
  const keys: Key[] = blocks.map((merged) => {
    const rank = rankOf(merged);
    return { merged, gfn: rank < 2 ? gfnOf(merged.holdings[0]!) : 0, rank };
  });
  return keys
    .toSorted(
      (a, b) => a.rank - b.rank || a.gfn - b.gfn || a.merged.holdings[0]! - b.merged.holdings[0]!,
    )
    .map(({ merged }) => merged);
}
