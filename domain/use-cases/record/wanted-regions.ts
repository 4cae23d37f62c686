// How a recorder is to hold regions of 2 MiB: large, as one unit whose pages nobody links to, or small,
// page by page (decision 0011). What is held otherwise is looked at anew, though it did not change.

import type { LargePages } from '../../large-pages.ts';
import type { CaptureView } from '../../ports/models.ts';
import type { GuestCapture } from '../../ports/guests.ts';
import { regionsIn } from '../../region-pages.ts';
import { isContent } from '../../values/holding.ts';
import { REGION_PAGES } from '../../values/page.ts';

/**
 * `follow`: as the stream of the VM's large pages says, those that were split small and all others large;
 * `all`: every whole region large; `none`: every page small; `as written`: what is written is held small,
 * and what is not stays as it is.
 */
export type LargeHolding = 'follow' | 'all' | 'none' | 'as written';

export class WantedRegions {
  readonly #holding: LargeHolding;
  readonly #regions: LargePages;
  /** Whole regions of the VM; what is behind them is small. */
  readonly #count: number;

  constructor(of: {
    readonly holding: LargeHolding;
    readonly pages: number;
    readonly regions: LargePages;
  }) {
    this.#holding = of.holding;
    this.#regions = of.regions;
    this.#count = regionsIn(of.pages);
  }

  #isRegionLarge(region: number): boolean {
    if (region >= this.#count) return false;
    if (this.#holding === 'all') return true;
    return this.#holding === 'follow' && this.#regions.get(region)?._tag !== 'split';
  }

  /** Whether what is written to a page is held large. */
  isLarge(gfn: number): boolean {
    return this.#isRegionLarge(Math.floor(gfn / REGION_PAGES));
  }

  /** Whether a page that is held large, and not written, stays so. */
  mayStayLarge(gfn: number): boolean {
    return this.#holding === 'as written' || this.isLarge(gfn);
  }

  /** Whether any page is to be held large. */
  get areAny(): boolean {
    for (let region = 0; region < this.#count; region += 1)
      if (this.#isRegionLarge(region)) return true;
    return false;
  }

  /**
   * Pages that are held otherwise than they are to be, ascending. Those of which the capture does not have
   * the bytes stay as they are.
   */
  *changed(
    view: Pick<CaptureView, 'held' | 'isLarge'>,
    { asBefore, asAt, image }: Pick<GuestCapture, 'asBefore' | 'asAt' | 'image'>,
  ): Generator<number> {
    if (this.#holding === 'as written') return;
    for (let gfn = 0; gfn < image.pageCount; gfn += 1) {
      const held = view.held(gfn);
      const isAtHand = asBefore?.[gfn] !== 1 && asAt?.pages[gfn] !== 1;
      if (isAtHand && isContent(held) && view.isLarge(held) !== this.isLarge(gfn)) yield gfn;
    }
  }
}
