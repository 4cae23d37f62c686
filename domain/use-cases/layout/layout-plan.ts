// Which pages of a point are copied for its checkpoint: those in storage blocks of which little is used
// at a time. A storage block of one capture's scattered writes holds pages from everywhere, and is read
// for a few of them; copied in the order of the point they lie together. One of which much is used in
// one region stays what is read there, though single pages of the region lie elsewhere.

import type { PageLocator } from '../../ports/models.ts';
import { LAYOUT_PAGES_MAX } from '../../events/layout-map.ts';
import { NumberSet } from '../../values/number-set.ts';
import { UNKNOWN } from '../../values/holding.ts';
import { isRead } from '../pages/patch-chain.ts';
import { REGION_PAGES } from './counted-reads.ts';
import { plainStorageEnds, StorageBlockNumbers } from './storage-block-numbers.ts';

/** A storage block whose mean run is shorter than this is copied from. */
const RUN_PAGES_MIN = 16;

/** The pages to copy, ascending: of each content the first page that holds it. */
export interface LayoutPlan {
  readonly gfns: Uint32Array;
  /** What they hold. */
  readonly holdings: Uint32Array;
}

/** The pages that are read, of each content the first, and the storage block of each. */
function placed(locator: PageLocator, table: Uint32Array) {
  const numbers = new StorageBlockNumbers(locator, plainStorageEnds);
  const met = new NumberSet();
  const gfns = new Uint32Array(table.length);
  const blocks = new Uint32Array(table.length);
  let count = 0;
  for (const [gfn, holding] of table.entries()) {
    if (!isRead(holding) || holding === UNKNOWN || !met.add(holding)) continue;
    const place = locator.placeOf(holding);
    if (place < 0) continue;
    gfns[count] = gfn;
    blocks[count] = numbers.at(place);
    count += 1;
  }
  return { gfns, blocks, count, blockCount: numbers.count };
}

/**
 * What to copy of a table. A run is the pages of one region that lie in one storage block. At most
 * LAYOUT_PAGES_MAX; what is beyond stays where it lies. O(pages).
 */
export function planLayout(locator: PageLocator, table: Uint32Array): LayoutPlan {
  const { gfns, blocks, count, blockCount } = placed(locator, table);
  const pages = new Uint32Array(blockCount);
  const runs = new Uint32Array(blockCount);
  const lastRegions = new Int32Array(blockCount).fill(-1);
  for (let i = 0; i < count; i += 1) {
    const block = blocks[i]!;
    const region = Math.floor(gfns[i]! / REGION_PAGES);
    pages[block]! += 1;
    if (lastRegions[block] === region) continue;
    lastRegions[block] = region;
    runs[block]! += 1;
  }
  const isShort = (block: number): boolean => pages[block]! < RUN_PAGES_MIN * runs[block]!;
  const copied: number[] = [];
  for (let i = 0; i < count && copied.length < LAYOUT_PAGES_MAX; i += 1)
    if (isShort(blocks[i]!)) copied.push(gfns[i]!);
  return {
    gfns: Uint32Array.from(copied),
    holdings: Uint32Array.from(copied, (gfn) => table[gfn]!),
  };
}
