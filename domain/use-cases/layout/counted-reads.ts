// How many storage blocks are read for all of a point by who works on one region of it after the other
// and keeps nothing from one to the next, as a guest does that starts: of each region the storage blocks
// that its pages lie in. What lies apart is read again and again, for a few pages each time.

import type { PageLocator } from '../../ports/models.ts';
import { UNKNOWN, UNTOLD } from '../../values/holding.ts';
import { HoldingSet } from '../../values/holding-set.ts';
import { chainOf, CHAIN_MAX, isRead } from '../pages/patch-chain.ts';
import {
  plainStorageEnds,
  StorageBlockNumbers,
  type StorageEnds,
} from './storage-block-numbers.ts';

/** Of which storage blocks, and by which regions, reads are counted. */
export interface CountedAs {
  readonly endsOf?: StorageEnds;
  readonly regionPages?: number;
}

/** Pages of a region (2 MiB). */
export const REGION_PAGES = 512;

/**
 * Storage blocks that are read for a table; a content that was read serves every page. `regionPages`:
 * after so many pages nothing is kept. O(pages). POINT_DAMAGED.
 */
export function countReads(
  locator: PageLocator,
  table: Uint32Array,
  { endsOf = plainStorageEnds, regionPages = REGION_PAGES }: CountedAs = {},
): number {
  const numbers = new StorageBlockNumbers(locator, endsOf);
  const met = new HoldingSet();
  const chain = new Float64Array(CHAIN_MAX);
  let reads = 0;
  let inRegion = new Set<number>();
  for (const [gfn, holding] of table.entries()) {
    if (gfn % regionPages === 0) inRegion = new Set();
    if (!isRead(holding) || holding === UNTOLD) continue;
    if (holding !== UNKNOWN && !met.add(holding)) continue;
    const length = chainOf(locator, holding, chain);
    for (let i = 0; i < length; i += 1) {
      const number = numbers.at(chain[i]!);
      if (inRegion.has(number)) continue;
      inRegion.add(number);
      reads += 1;
    }
  }
  return reads;
}
