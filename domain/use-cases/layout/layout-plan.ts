// Which pages of a point are copied for its checkpoint, and in which order: those in storage blocks of
// which little is used at a time. A storage block of one capture's scattered writes holds pages from
// everywhere, and is read for a few of them; copied in the order of the point they lie together. One of
// which much is used in one region stays what is read there, though single pages of the region lie
// elsewhere. Where it is known which pages are asked for together, that is told of these sets alone, and
// their copies come first, in the order in which they were asked for.

import type { PageLocator } from '../../ports/models.ts';
import { LAYOUT_PAGES_MAX } from '../../events/layout-map.ts';
import { isInPack, UNKNOWN } from '../../values/holding.ts';
import { HoldingSet } from '../../values/holding-set.ts';
import { REGION_PAGES } from './counted-reads.ts';
import { plainStorageEnds, StorageBlockNumbers } from './storage-block-numbers.ts';

/** A storage block whose mean run is shorter than this is copied from. */
const RUN_PAGES_MIN = 16;
/** The same where runs are of sets of pages that are asked for together. */
const SET_PAGES_MIN = 24;

/** The pages to copy, in the order of their copies: of each content the first page that holds it. */
export interface LayoutPlan {
  readonly gfns: Uint32Array;
  /** What they hold. */
  readonly holdings: Uint32Array;
}

/** The pages that are read, of each content the first, with the storage block and the unit of each. */
class PlacedPages {
  readonly gfns: Uint32Array;
  readonly blocks: Uint32Array;
  /** Numbers of sets and regions; pages of one stand together. */
  readonly units: Uint32Array;
  count = 0;
  readonly #locator: PageLocator;
  readonly #table: Uint32Array;
  readonly #numbers: StorageBlockNumbers;
  readonly #met = new HoldingSet();

  constructor(locator: PageLocator, table: Uint32Array) {
    this.#locator = locator;
    this.#table = table;
    this.#numbers = new StorageBlockNumbers(locator, plainStorageEnds);
    this.gfns = new Uint32Array(table.length);
    this.blocks = new Uint32Array(table.length);
    this.units = new Uint32Array(table.length);
  }

  get blockCount(): number {
    return this.#numbers.count;
  }

  /** Takes a page in, unless its content has a page. */
  add(gfn: number, unit: number): void {
    const holding = this.#table[gfn] ?? UNKNOWN;
    if (!isInPack(holding) || !this.#met.add(holding)) return;
    const place = this.#locator.placeOf(holding);
    if (place < 0) return;
    this.gfns[this.count] = gfn;
    this.blocks[this.count] = this.#numbers.at(place);
    this.units[this.count] = unit;
    this.count += 1;
  }
}

/** Of the pages of some units: which are to be copied. */
function* copiedOf(
  { gfns, blocks, units, blockCount }: PlacedPages,
  {
    from,
    end,
    runPagesMin,
  }: { readonly from: number; readonly end: number; readonly runPagesMin: number },
): Generator<number> {
  const pages = new Uint32Array(blockCount);
  const runs = new Uint32Array(blockCount);
  const lastUnits = new Int32Array(blockCount).fill(-1);
  for (let i = from; i < end; i += 1) {
    const block = blocks[i]!;
    pages[block]! += 1;
    if (lastUnits[block] === units[i]) continue;
    lastUnits[block] = units[i]!;
    runs[block]! += 1;
  }
  for (let i = from; i < end; i += 1)
    if (pages[blocks[i]!]! < runPagesMin * runs[blocks[i]!]!) yield gfns[i]!;
}

/**
 * What to copy of a table. A run is the pages of one region, or of one set of `together`, that lie in
 * one storage block. At most LAYOUT_PAGES_MAX; what is beyond stays where it lies. O(pages).
 */
export function planLayout(
  locator: PageLocator,
  table: Uint32Array,
  together: readonly Uint32Array[] = [],
): LayoutPlan {
  const placed = new PlacedPages(locator, table);
  for (const [unit, set] of together.entries()) for (const gfn of set) placed.add(gfn, unit);
  const from = placed.count;
  for (let gfn = 0; gfn < table.length; gfn += 1) placed.add(gfn, Math.floor(gfn / REGION_PAGES));
  const copied = [
    ...copiedOf(placed, { from: 0, end: from, runPagesMin: SET_PAGES_MIN }),
    ...copiedOf(placed, { from, end: placed.count, runPagesMin: RUN_PAGES_MIN }),
  ].slice(0, LAYOUT_PAGES_MAX);
  return {
    gfns: Uint32Array.from(copied),
    holdings: Uint32Array.from(copied, (gfn) => table[gfn]!),
  };
}
