// Pages in the order in which what they hold is stored, as it is read best.

import type { PageLocator } from '../../ports/models.ts';
import { isInPack } from '../../values/holding.ts';

/** Pages of a table, those that cost no read first, the others by where they lie. O(n log n). */
export function inStorageOrder(
  pages: readonly number[],
  { table, locator }: { readonly table: Uint32Array; readonly locator: PageLocator },
): Uint32Array {
  const placed = pages.map((page) => {
    const holding = table[page]!;
    const place = isInPack(holding) ? locator.placeOf(holding) : -1;
    return { page, place };
  });
  placed.sort((a, b) => a.place - b.place);
  return Uint32Array.from(placed, ({ page }) => page);
}
