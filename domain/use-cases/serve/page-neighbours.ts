// Which pages of a guest come with one that it asks for. A block of pages is read and decoded as one:
// every page whose content it holds is at hand then, wherever in the guest it lies and however often.
// A storage block, some blocks of a pack that lie behind each other, is what is worth reading with it: of
// a checkpoint's copies as its map says.
//
// The pages of a table are sorted by where their contents lie: by pack, then by slot when a page of
// that pack is first asked for. Of a patch that is where the mask lies. Compaction may move contents
// meanwhile: then what comes along is chosen less well, and nothing else.

import { blockStarts, type BlockStarts } from '../../values/pack.ts';
import { isRead } from '../pages/patch-chain.ts';
import { ordinalAt, slotAt, type Ordinal, type Place } from '../../values/place.ts';
import { isInPack, isTold, ZERO } from '../../values/holding.ts';
import { PACK_SLOTS } from '../../values/page.ts';
import { lastWhere } from '../../values/sorted-search.ts';
import type { PageLocator } from '../../ports/models.ts';
import type { StorageEnds } from '../layout/storage-block-numbers.ts';

/** Pages that cost no read, beside one that is asked for. */
const MADE_WINDOW_PAGES = 64;
/** Pages of a table that are looked through at once for what is made. */
const MADE_PART_PAGES = 2 ** 16;

/** The pages of a table whose contents lie in one pack. */
interface PackPages {
  /** By slot once they are sorted, of equal ones by number. */
  readonly pages: Uint32Array;
  /** The slot of each. */
  readonly slots: Uint16Array;
  isSorted: boolean;
  cuts: PackCuts | null;
}

/** Where a pack's blocks begin, and where its storage blocks end, as numbers of blocks. */
interface PackCuts {
  readonly starts: BlockStarts;
  readonly storageEnds: Uint32Array;
}

/** Which pages come along with one. */
export interface PageNeighbours {
  /** Those that are at hand when the page is, itself among them; ascending. */
  block(page: number): Uint32Array;
  /** Those that are worth reading with it, its own block's among them. */
  storageBlock(page: number): Uint32Array;
  /**
   * All pages that are not zeros, those that lie together behind each other; a part at a time, since a
   * guest waits for answers between.
   */
  inStorageOrder(): Iterator<Uint32Array>;
}

export interface StoredNeighboursRequest {
  /** What each page holds. */
  readonly table: Uint32Array;
  readonly locator: PageLocator;
  readonly storageEnds: StorageEnds;
}

/** Neighbours by where contents lie. */
export class StoredNeighbours implements PageNeighbours {
  readonly #table: Uint32Array;
  readonly #locator: PageLocator;
  readonly #storageEnds: StorageEnds;
  readonly #packs: Map<Ordinal, PackPages>;

  constructor({ table, locator, storageEnds }: StoredNeighboursRequest) {
    this.#table = table;
    this.#locator = locator;
    this.#storageEnds = storageEnds;
    this.#packs = byPack(table, locator);
  }

  block(page: number): Uint32Array {
    return this.#around(page, (block) => [block, block + 1]);
  }

  storageBlock(page: number): Uint32Array {
    return this.#around(page, (block, { storageEnds }) => {
      const storage = lastWhere(storageEnds.length, (i) => storageEnds[i]! <= block);
      return [storage < 0 ? 0 : storageEnds[storage]!, storageEnds[storage + 1]!];
    });
  }

  *inStorageOrder(): Generator<Uint32Array> {
    for (let first = 0; first < this.#table.length; first += MADE_PART_PAGES)
      yield this.#madeIn(first, Math.min(first + MADE_PART_PAGES, this.#table.length));
    for (const [, pack] of [...this.#packs].toSorted(([a], [b]) => a - b)) {
      sort(pack);
      yield pack.pages;
    }
  }

  /** Pages of a part of the table that are made and are no zeros. */
  #madeIn(first: number, end: number): Uint32Array {
    const found: number[] = [];
    for (let page = first; page < end; page += 1)
      if (this.#table[page] !== ZERO && this.#isMade(page)) found.push(page);
    return Uint32Array.from(found);
  }

  /** Whether a page is made without a read. */
  #isMade(page: number): boolean {
    return !isRead(this.#table[page]!);
  }

  /** The pages of the blocks that `blocksAround` says of the block of a page: the first, and the one behind the last. */
  #around(
    page: number,
    blocksAround: (block: number, cuts: PackCuts) => readonly [number, number],
  ): Uint32Array {
    if (!isTold(this.#table[page]!)) return Uint32Array.of(page);
    if (this.#isMade(page)) return this.#madeAround(page);
    const place = this.#locator.placeOf(this.#table[page]!);
    const pack = place < 0 ? undefined : this.#packs.get(ordinalAt(place));
    if (pack === undefined) return Uint32Array.of(page);
    sort(pack);
    const { slots } = pack;
    pack.cuts ??= this.#cutsOf(place);
    const starts = pack.cuts.starts.slots;
    const block = lastWhere(starts.length - 1, (i) => starts[i]! <= slotAt(place));
    const [first, behind] = blocksAround(block, pack.cuts);
    const from = starts[first]!;
    const end = starts[behind]!;
    const low = lastWhere(slots.length, (i) => slots[i]! < from) + 1;
    const high = lastWhere(slots.length, (i) => slots[i]! < end) + 1;
    const found = pack.pages.slice(low, high).toSorted();
    // Its content has moved since.
    return found.includes(page) ? found : Uint32Array.of(page);
  }

  #cutsOf(place: Place): PackCuts {
    const pack = this.#locator.packAt(place);
    return { starts: blockStarts(pack.blocks), storageEnds: this.#storageEnds(pack) };
  }

  #madeAround(page: number): Uint32Array {
    const first = page - (page % MADE_WINDOW_PAGES);
    const found = new Uint32Array(MADE_WINDOW_PAGES);
    let count = 0;
    const end = Math.min(first + MADE_WINDOW_PAGES, this.#table.length);
    for (let near = first; near < end; near += 1) if (this.#isMade(near)) found[count++] = near;
    return found.subarray(0, count);
  }
}

/**
 * Puts the pages of a pack in order, once. O(pages + slots). Plain loops: a guest that starts waits for
 * this, and nothing is compiled yet.
 */
function sort(pack: PackPages): void {
  if (pack.isSorted) return;
  pack.isSorted = true;
  const { pages, slots } = pack;
  // Where the pages of each slot begin among the sorted ones.
  const next = new Uint32Array(PACK_SLOTS + 1);
  for (let i = 0; i < slots.length; i += 1) next[slots[i]! + 1]! += 1;
  for (let slot = 0; slot < PACK_SLOTS; slot += 1) next[slot + 1]! += next[slot]!;
  const sorted = new Uint32Array(pages.length);
  const sortedSlots = new Uint16Array(pages.length);
  for (let i = 0; i < slots.length; i += 1) {
    const slot = slots[i]!;
    const at = next[slot]!++;
    sorted[at] = pages[i]!;
    sortedSlots[at] = slot;
  }
  pages.set(sorted);
  slots.set(sortedSlots);
}

/** The pages that are read, by pack. O(pages). */
function byPack(table: Uint32Array, locator: PageLocator): Map<Ordinal, PackPages> {
  // Of each page the number of its pack among those that were met; copies have ordinals of their own.
  const numbers = new Int32Array(table.length).fill(-1);
  const slots = new Uint16Array(table.length);
  const met = new Map<Ordinal, number>();
  const counts: number[] = [];
  let last: Ordinal = -1;
  let number = -1;
  for (let page = 0; page < table.length; page += 1) {
    const holding = table[page]!;
    if (!isInPack(holding)) continue;
    const place = locator.placeOf(holding);
    if (place < 0) continue;
    const ordinal = ordinalAt(place);
    if (ordinal !== last) {
      number = met.get(ordinal) ?? counts.length;
      last = ordinal;
      if (number === counts.length) {
        met.set(ordinal, number);
        counts.push(0);
      }
    }
    numbers[page] = number;
    slots[page] = slotAt(place);
    counts[number]! += 1;
  }
  const packs = counts.map((count): PackPages => {
    const pages = new Uint32Array(count);
    return { pages, slots: new Uint16Array(count), isSorted: false, cuts: null };
  });
  const filled = new Uint32Array(packs.length);
  for (let page = 0; page < table.length; page += 1) {
    const of = numbers[page]!;
    if (of < 0) continue;
    const pack = packs[of]!;
    const at = filled[of]!++;
    pack.pages[at] = page;
    pack.slots[at] = slots[page]!;
  }
  return new Map([...met].map(([ordinal, of]) => [ordinal, packs[of]!]));
}
