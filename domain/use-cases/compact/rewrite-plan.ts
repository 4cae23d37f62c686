// Decides, page by page, which content is kept whole and which as a patch of which (a patch is kept
// where under half of the bytes differ; a reference is never itself a patch).
//
// The newest version of a page is whole, or stays a patch of a content that is held and stays where it
// is; an older one is a patch of the nearest newer one that is whole. What patches that were not
// rewritten yet refer to stays whole.

import { NumberSet } from '../../values/number-set.ts';
import { ordinalAt } from '../../values/place.ts';
import { PAGE_BYTES } from '../../values/page.ts';
import {
  FIRST_CONTENT,
  UNKNOWN,
  contentOf,
  isContent,
  type Holding,
} from '../../values/holding.ts';
import { PATCH_BYTES_MAX } from '../../events/patches.ts';
import { NO_GFN, type ContentPlaces, type Survey } from './models.ts';

/** Bytes in which two pages differ, counted up to `max`. */
function differingBytes(a: Uint8Array, b: Uint8Array, max: number): number {
  let count = 0;
  for (let i = 0; i < PAGE_BYTES; i += 1)
    if (a[i] !== b[i]) {
      count += 1;
      if (count >= max) return count;
    }
  return count;
}

/** The bytes of a page that is at hand. */
export type PageAtHand = (holding: Holding) => Uint8Array | undefined;

export class RewritePlan {
  readonly #places: ContentPlaces;
  readonly #survey: Survey;
  /** Ordinals of the packs to empty. */
  readonly #emptied: ReadonlySet<number>;
  /** Ordinals of the packs that cannot be read: nothing becomes a patch of what lies there. */
  readonly #unreadable: ReadonlySet<number>;
  readonly #isTaken = new NumberSet();
  readonly #isDecided = new NumberSet();
  /** By content that is decided on, what it is a patch of in its new place, plus 1; 0: whole. */
  readonly #patchOf: Uint32Array;
  /** By content, patches that refer to it, as they are now and will be. */
  readonly #referrers: Uint32Array;
  /** What the versions that come next may be patches of, by gfn. */
  #whole = new Uint32Array(0);

  constructor(of: {
    readonly places: ContentPlaces;
    readonly survey: Survey;
    readonly emptied: ReadonlySet<number>;
    readonly unreadable: ReadonlySet<number>;
  }) {
    this.#places = of.places;
    this.#survey = of.survey;
    this.#emptied = of.emptied;
    this.#unreadable = of.unreadable;
    this.#patchOf = new Uint32Array(of.places.count);
    this.#referrers = of.places.referrers();
  }

  /** Goes on with a VM whose newest capture has this table. */
  beginVm(table: Uint32Array): void {
    this.#whole = table.slice();
  }

  #isEmptied(place: number): boolean {
    return this.#emptied.has(ordinalAt(place));
  }

  /** Whether what lies there stays there, and can be read. */
  #stays(place: number): boolean {
    return place >= 0 && !this.#isEmptied(place) && !this.#unreadable.has(ordinalAt(place));
  }

  /** Whether a content is still to be rewritten. */
  isWanted(holding: Holding): boolean {
    if (!isContent(holding) || this.#isTaken.has(contentOf(holding))) return false;
    const place = this.#places.placeOf(holding);
    return place >= 0 && this.#isEmptied(place);
  }

  /** A content is among those that are rewritten; it is decided on next. */
  take(holding: Holding): void {
    this.#isTaken.add(contentOf(holding));
  }

  /** A content as whole, whose patch it may be itself; UNKNOWN: there is none. */
  #wholeOf(holding: Holding): Holding {
    if (!isContent(holding)) return UNKNOWN;
    const content = contentOf(holding);
    if (this.#isDecided.has(content)) {
      const patchOf = this.#patchOf[content]!;
      return patchOf === 0 ? holding : FIRST_CONTENT + patchOf - 1;
    }
    const place = this.#places.placeOf(holding);
    if (!this.#stays(place)) return UNKNOWN;
    const reference = this.#places.referenceAt(place);
    if (reference === null) return holding;
    const of = this.#places.placeOf(reference);
    return this.#stays(of) && this.#places.referenceAt(of) === null ? reference : UNKNOWN;
  }

  /** What a content is a patch of now, where that is held for itself and stays where it is, whole. */
  #keptReference(holding: Holding): Holding {
    const reference = this.#places.referenceAt(this.#places.placeOf(holding));
    if (reference === null || !this.#survey.isHeld(reference)) return UNKNOWN;
    return this.#wholeOf(reference) === reference ? reference : UNKNOWN;
  }

  /** What contents of these gfns may be patches of, to have at hand: those of older versions. */
  candidates(holding: Holding, gfn: number | null): Holding[] {
    const kept = this.#keptReference(holding);
    const whole = gfn === null || gfn === NO_GFN ? UNKNOWN : this.#wholeOf(this.#whole[gfn]!);
    return [kept, whole].filter((candidate) => candidate !== UNKNOWN && candidate !== holding);
  }

  /** A content that was taken is whole, wherever it was written. */
  keepWhole(holding: Holding): void {
    this.decide(holding, null, () => undefined);
  }

  /**
   * What the content that was taken becomes a patch of; null: it is whole. `gfn`: where an older
   * version was; null: it is of the newest.
   */
  decide(holding: Holding, gfn: number | null, pageAtHand: PageAtHand): Holding | null {
    const content = contentOf(holding);
    this.#isDecided.add(content);
    const before = this.#places.referenceAt(this.#places.placeOf(holding));
    if (before !== null && isContent(before)) this.#referrers[contentOf(before)]! -= 1;
    const reference =
      this.#referrers[content] === 0 ? this.#nearest(holding, gfn, pageAtHand) : null;
    if (reference !== null) {
      this.#patchOf[content] = contentOf(reference) + 1;
      this.#referrers[contentOf(reference)]! += 1;
    } else if (gfn !== null && gfn !== NO_GFN) this.#whole[gfn] = holding;
    return reference;
  }

  #nearest(holding: Holding, gfn: number | null, pageAtHand: PageAtHand): Holding | null {
    const page = pageAtHand(holding);
    let nearest: Holding | null = null;
    let least = PATCH_BYTES_MAX;
    for (const candidate of this.candidates(holding, gfn)) {
      const other = pageAtHand(candidate);
      if (page === undefined || other === undefined) continue;
      const count = differingBytes(page, other, least);
      if (count >= least) continue;
      nearest = candidate;
      least = count;
    }
    return nearest;
  }
}
