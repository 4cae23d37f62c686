// The small pages of a large page, counted: which of them need no memory of their own once it is held
// small. Data plane: holdings in, counts out.

import { isContent, isTold, contentOf } from './values/holding.ts';
import { REGION_PAGES } from './values/page.ts';
import { NumberSet } from './values/number-set.ts';

/** Whole large pages in some pages; what is left at the end is always held small. */
export const regionsIn = (pages: number): number => Math.floor(pages / REGION_PAGES);

/** Contents that are held small: equal pages need not be held again. */
export interface HeldSmall {
  readonly has: (content: number) => boolean;
  /** Pages, by what they hold, are held small from now on. */
  readonly add: (holdings: Uint32Array) => void;
}

/** A set of contents that are held small, none yet. */
export function emptyHeld(): HeldSmall {
  const contents = new NumberSet();
  return {
    has: (content) => contents.has(content),
    add(holdings) {
      for (const holding of holdings) if (isContent(holding)) contents.add(contentOf(holding));
    },
  };
}

/** Pages of a region that need no memory of their own once it is held small. */
export interface RegionCounts {
  /** Described by a pattern, zeros among them. */
  readonly pattern: number;
  /** Of a content that another page holds which is held small, or an earlier one of the region. */
  readonly shareable: number;
}

/** Contents that pages of more than one of some regions hold. O(pages). */
export function sharedAmong(regions: Iterable<Uint32Array>): Pick<HeldSmall, 'has'> {
  const once = new NumberSet();
  const more = new NumberSet();
  for (const pages of regions)
    for (const content of new Set(pages.filter(isContent)))
      if (!once.add(contentOf(content))) more.add(contentOf(content));
  return { has: (content) => more.has(content) };
}

/** Counts a region's pages against what is held small elsewhere, in any of some sets. O(pages). */
export function countRegion(
  holdings: Uint32Array,
  held: readonly Pick<HeldSmall, 'has'>[],
): RegionCounts {
  const own = new Set<number>();
  let pattern = 0;
  let shareable = 0;
  for (const holding of holdings) {
    if (!isTold(holding)) continue;
    if (!isContent(holding)) {
      pattern += 1;
      continue;
    }
    const content = contentOf(holding);
    if (own.has(content) || held.some((set) => set.has(content))) shareable += 1;
    own.add(content);
  }
  return { pattern, shareable };
}
