// Regions that clones of a point hold large: decided when they begin, by what was decided of the point's
// regions, and by what they may take.

import { availableMemory } from '../../guests/host-available.ts';
import { regionsHeldLarge, type CloneHolding } from '../../../domain/clone-regions.ts';
import { hostBudget, limitBudget } from '../../../domain/host-relief.ts';
import { regionsIn } from '../../../domain/region-pages.ts';
import { ZERO } from '../../../domain/values/holding.ts';
import { REGION_PAGES } from '../../../domain/values/page.ts';
import type { Budget } from '../../../domain/memory-pressure.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { tableOf, type VmPoint } from '../ledger/vm-point.ts';
import { regionsAt } from '../questions/large-pages.ts';
import type { ClonesBudget } from './host-memory.ts';

/** What there is for clones of which none runs; null: no budget was named, or the host does not say. */
function emptyBudget(budget: ClonesBudget | null): Budget | null {
  if (budget === null) return null;
  if (budget._tag === 'limit') return limitBudget(budget.bytes, []);
  const available = availableMemory();
  return available === null ? null : hostBudget(available, []);
}

/** The regions of a point that so many clones of it hold large. POINT_DAMAGED. */
export async function largeRegionsOf(
  ledger: Ledger,
  point: VmPoint,
  of: {
    readonly holding: CloneHolding;
    readonly clones: number;
    readonly budget: ClonesBudget | null;
  },
): Promise<ReadonlySet<number>> {
  const { holding, clones, budget } = of;
  if (holding === 'none') return new Set();
  const table = await tableOf(ledger, point, { isWhole: true });
  const ownPages = Array.from({ length: regionsIn(table.length) }, (_, region) =>
    table
      .subarray(region * REGION_PAGES, (region + 1) * REGION_PAGES)
      .reduce((sum, held) => sum + (held === ZERO ? 0 : 1), 0),
  );
  const regions = await regionsAt(ledger, point);
  return regionsHeldLarge({ holding, regions, ownPages, clones, budget: emptyBudget(budget) });
}
