// What pages are made of: for each, the page of a block that it is, and for a patch also the mask that
// lies upon it, and so on. The pages of all these rows, XORed, are the page, in whatever order they come.
// Public patterns are blocks whose bytes are at hand; zeros are no part of a plan.
//
// All columns are typed arrays: a plan of a million pages makes no object a page.

import { PACK_SLOTS } from '../../values/page.ts';
import { isLedgerError } from '../../values/ledger-error.ts';
import { blockStarts, packLabel, type BlockStarts, type BlockTable } from '../../values/pack.ts';
import { ordinalAt, slotAt } from '../../values/place.ts';
import { ZERO, type Holding } from '../../values/holding.ts';
import { lastWhere } from '../../values/sorted-search.ts';
import type { PageLocator, ReadPack } from '../../ports/models.ts';
import type { StoredBlocks } from '../../ports/page-engine.ts';
import { chainOf, CHAIN_MAX, isRead } from './patch-chain.ts';

/** Most pages planned as one: a block's number and a page below it are exact together in a double. */
export const PLAN_PAGES_MAX = 2 ** 20;

/** Blocks that pages of a plan are made of, and what lies between them. */
export interface PlannedPack {
  /** Null: its bytes are at hand. */
  readonly name: string | null;
  readonly bytes: Uint8Array | null;
  readonly label: string;
  readonly table: BlockTable;
  /** Offsets are of the pack, or of the bytes at hand. */
  readonly starts: BlockStarts;
  /** The number that its first block has in the plan. */
  readonly firstBlock: number;
}

/** What can be told of pages that are lost; null: the first one that is lost is thrown. */
export type LostPages = Set<number> | null;

export interface PagePlan {
  /** In the order of their blocks' numbers. */
  readonly packs: readonly PlannedPack[];
  readonly blockCount: number;
  /** Numbers of the pages that are made, ascending. */
  readonly pages: Uint32Array;
  /** Their rows: those of page i begin at rowStarts[i]; the last one is stored whole. */
  readonly rowStarts: Uint32Array;
  /** By row: the number of the block, and which page of it. */
  readonly blocks: Uint32Array;
  readonly slots: Uint8Array;
}

/** The block that a slot lies in. O(log blocks). */
export const blockOf = ({ slots }: BlockStarts, slot: number): number =>
  lastWhere(slots.length - 1, (block) => slots[block]! <= slot);

/** The pack in which a block lies. O(log packs). */
export const packOfBlock = ({ packs }: PagePlan, block: number): PlannedPack =>
  packs[lastWhere(packs.length, (i) => packs[i]!.firstBlock <= block)]!;

/** Rows as they are found, in columns that grow. */
class Rows {
  blocks: Uint32Array;
  slots: Uint8Array;
  count = 0;

  constructor(expected: number) {
    this.blocks = new Uint32Array(expected);
    this.slots = new Uint8Array(expected);
  }

  add(block: number, slot: number): void {
    if (this.count === this.blocks.length) {
      const grown = {
        blocks: new Uint32Array(2 * this.count),
        slots: new Uint8Array(2 * this.count),
      };
      grown.blocks.set(this.blocks);
      grown.slots.set(this.slots);
      this.blocks = grown.blocks;
      this.slots = grown.slots;
    }
    this.blocks[this.count] = block;
    this.slots[this.count] = slot;
    this.count += 1;
  }
}

/** Numbers the blocks of packs, as pages in them are asked for. */
class Blocks {
  readonly packs: PlannedPack[] = [];
  count = 0;
  readonly #startsOf: (pack: ReadPack) => BlockStarts;
  readonly #byOrdinal = new Map<number, PlannedPack>();
  readonly #patterns = new Map<Holding, PlannedPack>();
  /** Where the last page was found: most follow one another. */
  #first = 0;
  #end = 0;
  #block = 0;
  /** Of the last page asked for: which one of its block it is. */
  slot = 0;

  constructor(startsOf: (pack: ReadPack) => BlockStarts) {
    this.#startsOf = startsOf;
  }

  /** The number of the block at a place. */
  at(locator: PageLocator, place: number): number {
    if (place < this.#first || place >= this.#end) this.#find(locator, place);
    this.slot = place - this.#first;
    return this.#block;
  }

  #find(locator: PageLocator, place: number): void {
    const ordinal = ordinalAt(place);
    let pack = this.#byOrdinal.get(ordinal);
    if (pack === undefined) {
      const read = locator.packAt(place);
      const { name, blocks: table } = read;
      const starts = this.#startsOf(read);
      pack = this.#add({ name, bytes: null, label: packLabel(name), table, starts });
      this.#byOrdinal.set(ordinal, pack);
    }
    const { slots } = pack.starts;
    const block = blockOf(pack.starts, slotAt(place));
    this.#first = ordinal * PACK_SLOTS + slots[block]!;
    this.#end = ordinal * PACK_SLOTS + slots[block + 1]!;
    this.#block = pack.firstBlock + block;
  }

  /** The number of the block that a public pattern is, whose only page it is. */
  ofPattern(pattern: Holding, made: (pattern: Holding) => StoredBlocks): number {
    let pack = this.#patterns.get(pattern);
    if (pack === undefined) {
      const { bytes, ...table } = made(pattern);
      const starts = { slots: Uint32Array.of(0, 1), offsets: Uint32Array.of(0, bytes.length) };
      pack = this.#add({ name: null, bytes, label: `pattern ${pattern}`, table, starts });
      this.#patterns.set(pattern, pack);
    }
    this.slot = 0;
    return pack.firstBlock;
  }

  #add(pack: Omit<PlannedPack, 'firstBlock'>): PlannedPack {
    const planned = { ...pack, firstBlock: this.count };
    this.packs.push(planned);
    this.count += pack.table.lengths.length;
    return planned;
  }
}

export interface PlanPorts {
  readonly locator: PageLocator;
  /** The block of one page that a public pattern makes. */
  readonly patternBlock: (pattern: Holding) => StoredBlocks;
  /** Absent: where blocks start is counted anew. */
  readonly startsOf?: (pack: ReadPack) => BlockStarts;
}

/**
 * Plans pages that hold these, at most PLAN_PAGES_MAX; those that are lost go into `lost`, as numbers
 * of pages, and are planned no further. POINT_DAMAGED.
 */
export function planPages(
  { locator, patternBlock, startsOf = ({ blocks }) => blockStarts(blocks) }: PlanPorts,
  holdings: ArrayLike<Holding>,
  lost: LostPages,
): PagePlan {
  const count = holdings.length;
  const blocks = new Blocks(startsOf);
  const rows = new Rows(Math.max(1, count));
  const pages = new Uint32Array(count);
  const rowStarts = new Uint32Array(count + 1);
  const chain = new Float64Array(CHAIN_MAX);
  let planned = 0;
  for (let page = 0; page < count; page += 1) {
    const holding = holdings[page]!;
    if (holding === ZERO) continue;
    if (isRead(holding)) {
      let length: number;
      try {
        length = chainOf(locator, holding, chain);
      } catch (thrown) {
        if (lost === null || !isLedgerError(thrown)) throw thrown;
        lost.add(page);
        continue;
      }
      for (let i = 0; i < length; i += 1) rows.add(blocks.at(locator, chain[i]!), blocks.slot);
    } else rows.add(blocks.ofPattern(holding, patternBlock), blocks.slot);
    pages[planned] = page;
    planned += 1;
    rowStarts[planned] = rows.count;
  }
  return {
    packs: blocks.packs,
    blockCount: blocks.count,
    pages: pages.subarray(0, planned),
    rowStarts: rowStarts.subarray(0, planned + 1),
    blocks: rows.blocks.subarray(0, rows.count),
    slots: rows.slots.subarray(0, rows.count),
  };
}
