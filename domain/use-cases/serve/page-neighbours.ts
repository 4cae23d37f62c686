// Which pages of a guest come with one that it asks for. A block of pages is read and decoded as one:
// every page whose content it holds is at hand then, wherever in the guest it lies and however often.
// A storage block, some blocks of a pack that lie behind each other, is what is worth reading with it.
//
// The pages of a table are sorted by where their contents lie: by pack, then by slot when a page of
// that pack is first asked for. Of a patch that is where the mask lies. Compaction may move contents
// meanwhile: then what comes along is chosen less well, and nothing else.

import { blockStarts, type BlockStarts } from '../../values/pack.ts';
import { isRead } from '../pages/patch-chain.ts';
import { ordinalAt, slotAt, type Ordinal } from '../../values/place.ts';
import { UNKNOWN, ZERO } from '../../values/holding.ts';
import { lastWhere } from '../../values/sorted-search.ts';
import type { PageLocator } from '../../ports/models.ts';

/** Pages that cost no read, beside one that is asked for. */
const MADE_WINDOW_PAGES = 64;

/** The pages of a table whose contents lie in one pack. */
interface PackPages {
  /** By slot once they are sorted, of equal ones by number. */
  readonly pages: Uint32Array;
  /** Null: not sorted yet. */
  slots: Uint16Array | null;
  starts: BlockStarts | null;
}

/** Which pages come along with one. */
export interface PageNeighbours {
  /** Those that are at hand when the page is, itself among them; ascending. */
  block(page: number): Uint32Array;
  /** Those that are worth reading with it, its own block's among them. */
  storageBlock(page: number): Uint32Array;
  /** All pages that are not zeros, those that lie together behind each other. */
  inStorageOrder(): Uint32Array;
}

export interface StoredNeighboursRequest {
  /** What each page holds. */
  readonly table: Uint32Array;
  readonly locator: PageLocator;
  /** Blocks of a storage block. */
  readonly storageBlocks: number;
}

/** Neighbours by where contents lie. */
export class StoredNeighbours implements PageNeighbours {
  readonly #table: Uint32Array;
  readonly #locator: PageLocator;
  readonly #storageBlocks: number;
  readonly #packs: Map<Ordinal, PackPages>;

  constructor({ table, locator, storageBlocks }: StoredNeighboursRequest) {
    this.#table = table;
    this.#locator = locator;
    this.#storageBlocks = storageBlocks;
    this.#packs = byPack(table, locator);
  }

  block(page: number): Uint32Array {
    return this.#around(page, 1);
  }

  storageBlock(page: number): Uint32Array {
    return this.#around(page, this.#storageBlocks);
  }

  inStorageOrder(): Uint32Array {
    const all = new Uint32Array(this.#table.length);
    let count = 0;
    for (let page = 0; page < this.#table.length; page += 1)
      if (this.#isMade(page) && this.#table[page] !== ZERO) all[count++] = page;
    for (const [, pack] of [...this.#packs].toSorted(([a], [b]) => a - b)) {
      this.#sort(pack);
      all.set(pack.pages, count);
      count += pack.pages.length;
    }
    return all.subarray(0, count);
  }

  /** Whether a page is made without a read. */
  #isMade(page: number): boolean {
    return !isRead(this.#table[page]!);
  }

  #around(page: number, blocks: number): Uint32Array {
    if (this.#table[page] === UNKNOWN) return Uint32Array.of(page);
    if (this.#isMade(page)) return this.#madeAround(page);
    const place = this.#locator.placeOf(this.#table[page]!);
    const pack = place < 0 ? undefined : this.#packs.get(ordinalAt(place));
    if (pack === undefined) return Uint32Array.of(page);
    const slots = this.#sort(pack);
    pack.starts ??= blockStarts(this.#locator.packAt(place).blocks);
    const { slots: starts } = pack.starts;
    const block = lastWhere(starts.length - 1, (i) => starts[i]! <= slotAt(place));
    const first = block - (block % blocks);
    const from = starts[first]!;
    const end = starts[Math.min(first + blocks, starts.length - 1)]!;
    const low = lastWhere(slots.length, (i) => slots[i]! < from) + 1;
    const high = lastWhere(slots.length, (i) => slots[i]! < end) + 1;
    const found = pack.pages.slice(low, high).toSorted();
    // Its content has moved since.
    return found.includes(page) ? found : Uint32Array.of(page);
  }

  #madeAround(page: number): Uint32Array {
    const first = page - (page % MADE_WINDOW_PAGES);
    const found = new Uint32Array(MADE_WINDOW_PAGES);
    let count = 0;
    const end = Math.min(first + MADE_WINDOW_PAGES, this.#table.length);
    for (let near = first; near < end; near += 1) if (this.#isMade(near)) found[count++] = near;
    return found.subarray(0, count);
  }

  /** Puts the pages of a pack in order, once; their slots. */
  #sort(pack: PackPages): Uint16Array {
    if (pack.slots !== null) return pack.slots;
    const { pages } = pack;
    // A slot and a page's place in the list are exact together in a double.
    const keys = Float64Array.from(pages, (page, i) => {
      const place = this.#locator.placeOf(this.#table[page]!);
      return (place < 0 ? 0 : slotAt(place)) * pages.length + i;
    }).toSorted();
    const sorted = Uint32Array.from(keys, (key) => pages[key % pages.length]!);
    pack.slots = Uint16Array.from(keys, (key) => Math.floor(key / pages.length));
    pages.set(sorted);
    return pack.slots;
  }
}

/** The pages that are read, by pack. O(pages). */
function byPack(table: Uint32Array, locator: PageLocator): Map<Ordinal, PackPages> {
  const ordinals = new Int32Array(table.length).fill(-1);
  const counts: number[] = [];
  for (let page = 0; page < table.length; page += 1) {
    const holding = table[page]!;
    if (holding === UNKNOWN || !isRead(holding)) continue;
    const place = locator.placeOf(holding);
    if (place < 0) continue;
    const ordinal = ordinalAt(place);
    ordinals[page] = ordinal;
    counts[ordinal] = (counts[ordinal] ?? 0) + 1;
  }
  const packs = new Map<Ordinal, PackPages>();
  const filled: number[] = [];
  for (const [ordinal, count] of counts.entries()) {
    if (count === undefined) continue;
    packs.set(ordinal, { pages: new Uint32Array(count), slots: null, starts: null });
    filled[ordinal] = 0;
  }
  for (let page = 0; page < table.length; page += 1) {
    const ordinal = ordinals[page]!;
    if (ordinal >= 0) packs.get(ordinal)!.pages[filled[ordinal]!++] = page;
  }
  return packs;
}
