// Which storage block a place is in, as a number by which it is told from others.

import { BLOCK_PAGES, PACK_SLOTS } from '../../values/page.ts';
import { blockStarts } from '../../values/pack.ts';
import { ordinalAt, slotAt, type Place } from '../../values/place.ts';
import { lastWhere } from '../../values/sorted-search.ts';
import { STAGING_BLOCK_BYTES, storageBlockEnds } from '../../values/storage-blocks.ts';
import type { PageLocator, ReadPack } from '../../ports/models.ts';

/** Where the storage blocks of a pack end, as numbers of blocks. */
export type StorageEnds = (pack: ReadPack) => Uint32Array;

/** As of packs that no map tells of. */
export const plainStorageEnds: StorageEnds = ({ blocks }) =>
  storageBlockEnds(blocks.lengths, STAGING_BLOCK_BYTES);

/**
 * As of packs whose blocks are taken together until they have so many pages, whatever their bytes; one
 * counts as BLOCK_PAGES at least, as recording leaves neighbours.
 */
export const endsOfPages =
  (pagesMin: number): StorageEnds =>
  ({ blocks: { pages } }) => {
    const ends: number[] = [];
    let taken = 0;
    for (let block = 0; block < pages.length; block += 1) {
      taken += Math.max(pages[block]!, BLOCK_PAGES);
      if (taken < pagesMin && block < pages.length - 1) continue;
      ends.push(block + 1);
      taken = 0;
    }
    return Uint32Array.from(ends);
  };

/** A pack's storage blocks: their numbers, and the first slot of each. */
interface NumberedPack {
  readonly number: number;
  readonly slots: Uint32Array;
}

export class StorageBlockNumbers {
  readonly #locator: PageLocator;
  readonly #endsOf: StorageEnds;
  readonly #packs = new Map<number, NumberedPack>();
  /** Storage blocks that have numbers: all are below it. */
  count = 0;
  /** The places of the storage block that was asked for last: most follow one another. */
  #first = 0;
  #end = 0;
  #number = -1;

  constructor(locator: PageLocator, endsOf: StorageEnds) {
    this.#locator = locator;
    this.#endsOf = endsOf;
  }

  /** The number of the storage block at a place. */
  at(place: Place): number {
    if (place >= this.#first && place < this.#end) return this.#number;
    const ordinal = ordinalAt(place);
    const { number, slots } = this.#packs.get(ordinal) ?? this.#numbered(place);
    const i = lastWhere(slots.length - 1, (at) => slots[at]! <= slotAt(place));
    this.#first = ordinal * PACK_SLOTS + slots[i]!;
    this.#end = ordinal * PACK_SLOTS + slots[i + 1]!;
    this.#number = number + i;
    return this.#number;
  }

  #numbered(place: Place): NumberedPack {
    const pack = this.#locator.packAt(place);
    const ends = this.#endsOf(pack);
    const starts = blockStarts(pack.blocks).slots;
    const numbered = {
      number: this.count,
      slots: Uint32Array.of(0, ...Array.from(ends, (end) => starts[end]!)),
    };
    this.count += ends.length;
    this.#packs.set(ordinalAt(place), numbered);
    return numbered;
  }
}
