// Who needs what is stored, for whoever lists captures and VMs: it is worked out from the page events of
// all kept captures, so it is asked for, or they are few.

import { areCostsSoonTold, costsOf, type Cost } from '../../../projections/compaction/costs.ts';
import type { Ledger } from '../ledger/ledger.ts';

/** Page events up to which costs are worked out unasked: some tenths of a second. */
const UNASKED_ROWS_MAX = 2 ** 18;

/** Whole bytes; null: not worked out, or it cannot be told. */
export interface CostRow {
  /** What forgetting it alone would free. */
  readonly ownBytes: number | null;
  /** Its part of what others need too. */
  readonly sharedBytes: number | null;
}

/** Costs of a ledger's captures and VMs. */
export interface LedgerCosts {
  /** Whether what they need was left out, as it was not asked for and the ledger is large. */
  readonly isLeftOut: boolean;
  capture(vm: string, capture: number): CostRow;
  vm(vm: string): CostRow;
}

const rowOf = (cost: Cost | undefined): CostRow => ({
  ownBytes: cost === undefined ? null : Math.round(cost.ownBytes),
  sharedBytes: cost === undefined ? null : Math.round(cost.sharedBytes),
});

/**
 * What only each needs, and its part of the rest. O(page events of the kept captures) where it is asked
 * for, or a ledger has few of them; else nothing is counted.
 */
export async function ledgerCosts(
  ledger: Ledger,
  { isAsked }: { readonly isAsked: boolean },
): Promise<LedgerCosts> {
  const { state } = ledger;
  const isLeftOut = !isAsked && !areCostsSoonTold(state.catalogue, UNASKED_ROWS_MAX);
  if (!isLeftOut) await state.whole();
  const costs = isLeftOut ? null : await costsOf(state);
  return {
    isLeftOut,
    capture: (vm, capture) => rowOf(costs?.captures.get(vm)?.get(capture)),
    vm: (vm) => rowOf(costs?.vms.get(vm)),
  };
}
