// A point of a VM: what messages call it, and what its pages hold.

import { assertWhole } from '../../../domain/use-cases/pages/patch-chain.ts';
import type { CaptureRow, VmEntry } from '../../../projections/models/vm-entry.ts';
import type { Ledger } from './ledger.ts';

/** A point of a VM: an entry of the catalogue and one of its captures. */
export interface VmPoint {
  readonly entry: VmEntry;
  readonly row: CaptureRow;
}

/** What messages call a point. */
export const labelOf = ({ entry, row }: VmPoint): string =>
  `capture ${row.capture} of VM ${entry.vm}`;

/** What each page holds at a point; whole: POINT_DAMAGED or PAGE_UNKNOWN where that is not known of one. */
export async function tableOf(
  { state: { tables, contents } }: Ledger,
  point: VmPoint,
  { isWhole }: { readonly isWhole: boolean },
): Promise<Uint32Array> {
  const table = await tables.at(point.entry, contents, point.row);
  if (isWhole) assertWhole(table, labelOf(point));
  return table;
}
