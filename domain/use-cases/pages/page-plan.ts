// What has to be done for a window of pages: public patterns are made, zeros are left out, all else is
// read, in passes. First each page that is stored whole is put in its place, that which a patch refers
// to in the place of the patch; then the masks of patches are XORed onto what is there. Patches upon
// patches take more passes. In a pass places ascend, so that each block is read once.

import { addTo } from '../../values/grouped.ts';
import { isLedgerError } from '../../values/ledger-error.ts';
import { ZERO, type Holding } from '../../values/holding.ts';
import type { PageLocator } from '../../ports/models.ts';
import { chainOf, CHAIN_MAX, isRead } from './patch-chain.ts';

/** Most pages planned as one: a place and a number below it are exact together in a double. */
export const PLAN_PAGES_MAX = 2 ** 20;

/** What is read in a pass, in the order of the places, which may repeat. */
export interface PlannedPass {
  readonly places: Float64Array;
  /** The pages they are for, counted from the plan's first one. */
  readonly pages: Uint32Array;
}

export interface PagePlan {
  /** Pages of each public pattern. */
  readonly made: ReadonlyMap<Holding, readonly number[]>;
  readonly passes: readonly PlannedPass[];
}

/** What can be told of pages that are lost; null: the first one that is lost is thrown. */
export type LostPages = Set<number> | null;

function passOf(keys: readonly number[]): PlannedPass {
  const sorted = Float64Array.from(keys).toSorted();
  return {
    places: sorted.map((key) => Math.floor(key / PLAN_PAGES_MAX)),
    pages: Uint32Array.from(sorted, (key) => key % PLAN_PAGES_MAX),
  };
}

/**
 * Plans pages that hold these, at most PLAN_PAGES_MAX; those that are lost go into `lost`, as numbers
 * of pages, and are planned no further. POINT_DAMAGED.
 */
export function planPages(
  locator: PageLocator,
  holdings: ArrayLike<Holding>,
  lost: LostPages,
): PagePlan {
  const made = new Map<Holding, number[]>();
  // By pass: place * PLAN_PAGES_MAX + page.
  const keys: number[][] = [[]];
  const chain = new Float64Array(CHAIN_MAX);
  for (let page = 0; page < holdings.length; page += 1) {
    const holding = holdings[page]!;
    if (holding === ZERO) continue;
    if (!isRead(holding)) {
      addTo(made, holding, page);
      continue;
    }
    let length: number;
    try {
      length = chainOf(locator, holding, chain);
    } catch (thrown) {
      if (lost === null || !isLedgerError(thrown)) throw thrown;
      lost.add(page);
      continue;
    }
    for (let i = 0; i < length; i += 1)
      (keys[length - 1 - i] ??= []).push(chain[i]! * PLAN_PAGES_MAX + page);
  }
  return { made, passes: keys.map(passOf) };
}
