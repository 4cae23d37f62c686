// Which regions of 2 MiB of a point its clones hold large: as one, each clone for itself from the beginning,
// where nothing fetches or drops its pages one by one. All other pages are small: in memory once for all
// clones, there when they are touched, and gone when room is short. A clone that runs stays as it began.

import { PAGE_BYTES } from './values/page.ts';
import type { LargePages } from './large-pages.ts';
import { canReclaim, memoryState, type Budget } from './memory-pressure.ts';

/** All regions are held large, those that were not split, or none. */
export const CLONE_HOLDINGS = ['all', 'follow', 'none'] as const;
export type CloneHolding = (typeof CLONE_HOLDINGS)[number];

/** Clones that are to begin. */
export interface BeginClones {
  readonly holding: CloneHolding;
  /** What was decided of the point's regions. */
  readonly regions: LargePages;
  /** By region, pages that each clone would have for itself: zeros take nothing. */
  readonly ownPages: readonly number[];
  readonly clones: number;
  /** What clones may take together, before these take anything; null: nobody says. */
  readonly budget: Budget | null;
}

/**
 * The regions that clones hold large. Where the split ones are to be small, and so are those of which that
 * would leave too little free: clones have every page in common, so from the state on in which all that share
 * are split, that is all of them.
 */
export function regionsHeldLarge(of: BeginClones): ReadonlySet<number> {
  const { holding, regions, ownPages, clones, budget } = of;
  if (holding === 'none') return new Set();
  const all = Array.from(ownPages, (_, region) => region);
  if (holding === 'all') return new Set(all);
  const large = all.filter((region) => regions.get(region)?._tag !== 'split');
  if (budget === null) return new Set(large);
  const pages = large.reduce((sum, region) => sum + ownPages[region]!, 0);
  const freeBytes = budget.freeBytes - clones * pages * PAGE_BYTES;
  const memory = memoryState('high', { bytes: budget.bytes, freeBytes });
  return canReclaim(memory, 'split sharing') ? new Set() : new Set(large);
}
