// Where pages of a checkpoint's point are read from: its copies, and for all that it has none of, where
// the ledger has them. A copy is the whole page, and never needed: what it is of lies elsewhere too.
//
// Memory: 8 bytes a copy, and a bit a content up to the newest that is copied.

import type { PageLocator, ReadPack } from '../../ports/models.ts';
import { LAYOUT_PAGES_MAX, type LaidOutPack, type LayoutMap } from '../../events/layout-map.ts';
import { contentOf, isContent, isTold, UNKNOWN, type Holding } from '../../values/holding.ts';
import type { LedgerError } from '../../values/ledger-error.ts';
import { NumberSet } from '../../values/number-set.ts';
import { packLabel, slotsOf } from '../../values/pack.ts';
import { ordinalAt, placeAt, type Place } from '../../values/place.ts';
import { lastWhere } from '../../values/sorted-search.ts';
import type { StorageEnds } from './storage-block-numbers.ts';

/** The first pack of copies has this ordinal: no pack of the ledger does. */
const COPIES_ORDINAL = 2 ** 32;

export class LaidOutPages implements PageLocator {
  readonly #others: () => PageLocator;
  readonly #packs: readonly (ReadPack & Pick<LaidOutPack, 'storageEnds'>)[];
  /** The first slot of each pack, counted through all. */
  readonly #firstSlots: readonly number[];
  /** What is copied and the slot of its copy, as one number each, ascending. */
  readonly #copies: Float64Array;
  /** The contents that are copied: of most points most are not, which is to be told at once. */
  readonly #contents = new NumberSet();

  /** `table`: what the pages of the map's capture hold. `others`: where all else is found. */
  constructor(others: () => PageLocator, map: LayoutMap, table: Uint32Array) {
    this.#others = others;
    const firstSlots: number[] = [];
    let slots = 0;
    this.#packs = map.packs.map(({ name, sizeBytes, blocks, storageEnds }, i) => {
      firstSlots.push(slots);
      slots += slotsOf(blocks);
      const patches = { slots: new Uint16Array(0) };
      const references = new Uint32Array(0);
      const ordinal = COPIES_ORDINAL + i;
      return { ordinal, name, sizeBytes, blocks, storageEnds, patches, references };
    });
    this.#firstSlots = firstSlots;
    const copies = new Float64Array(map.gfns.length);
    let count = 0;
    for (const [slot, gfn] of map.gfns.entries()) {
      const holding = table[gfn] ?? UNKNOWN;
      if (!isTold(holding)) continue;
      copies[count] = holding * LAYOUT_PAGES_MAX + slot;
      count += 1;
      if (isContent(holding)) this.#contents.add(contentOf(holding));
    }
    this.#copies = copies.subarray(0, count).toSorted();
  }

  /** The slot of a copy, counted through all packs; below 0: there is none. */
  #slotOf(holding: Holding): number {
    if (isContent(holding) && !this.#contents.has(contentOf(holding))) return -1;
    const copies = this.#copies;
    const bound = (holding + 1) * LAYOUT_PAGES_MAX;
    const copy = copies[lastWhere(copies.length, (i) => copies[i]! < bound)] ?? -1;
    return copy - holding * LAYOUT_PAGES_MAX;
  }

  isCopied(holding: Holding): boolean {
    return this.#slotOf(holding) >= 0;
  }

  placeOf(holding: Holding): Place {
    const slot = this.#slotOf(holding);
    if (slot < 0) return this.#others().placeOf(holding);
    const pack = lastWhere(this.#firstSlots.length, (i) => this.#firstSlots[i]! <= slot);
    return placeAt(COPIES_ORDINAL + pack, slot - this.#firstSlots[pack]!);
  }

  packAt(place: Place): ReadPack {
    return this.#copiesAt(place) ?? this.#others().packAt(place);
  }

  referenceAt(place: Place): Holding | null {
    return this.#copiesAt(place) === undefined ? this.#others().referenceAt(place) : null;
  }

  #copiesAt(place: Place) {
    return this.#packs[ordinalAt(place) - COPIES_ORDINAL];
  }

  /** Where storage blocks end: of copies as the map says, of other packs as `others` has it. */
  storageEnds(others: StorageEnds): StorageEnds {
    return (pack) => this.#packs[pack.ordinal - COPIES_ORDINAL]?.storageEnds ?? others(pack);
  }

  /** Whether a failure to read a pack is of one of copies: it says the name, or what a message calls it. */
  readonly isFailing = ({ facts: { name, label } }: LedgerError): boolean =>
    this.#packs.some((pack) => pack.name === name || packLabel(pack.name) === label);
}
