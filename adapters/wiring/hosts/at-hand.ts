// Which contents a host has at hand: those of packs that lie here, or of which its cache has the parts.

import { blockOf } from '../../../domain/use-cases/pages/page-plan.ts';
import { holdingOfContent } from '../../../domain/values/holding.ts';
import { blockStarts, type BlockStarts } from '../../../domain/values/pack.ts';
import { slotAt } from '../../../domain/values/place.ts';
import type { Ledger } from '../ledger/ledger.ts';

/** Tells of a content whether this host has it without asking a server; null: it has all. */
export async function contentsAtHand({
  store,
  state,
}: Pick<Ledger, 'store' | 'state'>): Promise<((content: number) => boolean) | null> {
  if (store.atHand === undefined) return null;
  const isKept = await store.atHand();
  const { contents } = state;
  const starts = new Map<string, BlockStarts>();
  return (content) => {
    const place = contents.placeOf(holdingOfContent(content));
    if (place < 0) return false;
    const { name, blocks } = contents.packAt(place);
    const ofPack = starts.get(name) ?? blockStarts(blocks);
    starts.set(name, ofPack);
    const block = blockOf(ofPack, slotAt(place));
    const [offsetBytes, endBytes] = [ofPack.offsets[block]!, ofPack.offsets[block + 1]!];
    return isKept({ name, offsetBytes, endBytes });
  };
}
