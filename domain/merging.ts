// Which small packs become one while captures are recorded, so that a VM whose captures are small has few
// packs: a point's pages lie in each pack that wrote one of them, and each costs opening it.
//
// FAN_IN packs of a VM that are about as large become one, or, where that is too much for one, some that
// are full. So a page is copied about once a tier, and beside those that are half full or more a VM has
// at most FAN_IN - 1 packs of each tier. Use cases carry it out (use-cases/merge).

import { groupedBy } from './values/grouped.ts';
import { PACK_PAGES_MAX } from './values/page.ts';

/** A pack, as far as merging is concerned. */
export interface MergeablePack {
  /** Its number among all packs, in log order. */
  readonly ordinal: number;
  /** The VM that wrote what is in it. */
  readonly vm: string;
  readonly slots: number;
}

/** So many packs of a tier are merged. */
export const FAN_IN = 48;
/** Packs of a tier have fewer slots than this, and as many as the tier before has not. */
const TIER_SLOTS = [128, PACK_PAGES_MAX / 2];

/** The tier of a pack; null: it is full enough to be left alone. */
export function tierOf({ slots }: Pick<MergeablePack, 'slots'>): number | null {
  const tier = TIER_SLOTS.findIndex((below) => slots < below);
  return tier < 0 ? null : tier;
}

/** The packs to merge next: the oldest of the lowest tier of which a VM has too many. None: no VM has. */
export function packsToMerge<P extends MergeablePack>(packs: readonly P[], fanIn = FAN_IN): P[] {
  for (const tier of TIER_SLOTS.keys()) {
    const inTier = packs.filter((pack) => tierOf(pack) === tier);
    for (const ofVm of groupedBy(inTier, ({ vm }) => vm).values())
      if (ofVm.length >= fanIn)
        return ofVm.toSorted((a, b) => a.ordinal - b.ordinal).slice(0, fanIn);
  }
  return [];
}
