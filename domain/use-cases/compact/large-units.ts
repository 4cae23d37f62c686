// What the newest capture of a VM holds large, region by region: compaction keeps each whole, side by side
// and in blocks of its own, as it was recorded. What older captures hold is stored as any content is.

import { REGION_PAGES } from '../../values/page.ts';
import type { Holding } from '../../values/holding.ts';
import { NO_GFN, type ContentPlaces, type Versions } from './models.ts';

/** Contents of each region that are held large, in gfn order. */
export function* largeUnits(
  { holdings, gfns }: Versions,
  places: Pick<ContentPlaces, 'isLarge'>,
): Generator<readonly Holding[]> {
  let unit: Holding[] = [];
  let of = -1;
  for (const [i, holding] of holdings.entries()) {
    const gfn = gfns[i]!;
    if (gfn === NO_GFN || !places.isLarge(holding)) continue;
    const region = Math.floor(gfn / REGION_PAGES);
    if (region !== of && unit.length > 0) {
      yield unit;
      unit = [];
    }
    of = region;
    unit.push(holding);
  }
  if (unit.length > 0) yield unit;
}
