// The captures of a VM between two points.

import { refuse } from '../../../domain/values/refused.ts';
import type { CaptureRow, VmEntry } from '../../../projections/models/vm-entry.ts';
import type { Ledger } from '../ledger/ledger.ts';

/** Captures that are kept, from one point, else the oldest, to another; at least one. */
export function momentsBetween(
  ledger: Ledger,
  entry: VmEntry,
  { from, to }: { readonly from: string | null; readonly to: string },
): readonly CaptureRow[] {
  const last = ledger.resolve(entry, to);
  const first = from === null ? null : ledger.resolve(entry, from);
  const rows = entry
    .keptCaptures()
    .filter(({ capture }) => capture >= (first?.capture ?? 0) && capture <= last.capture);
  if (rows.length > 0) return rows;
  throw refuse({ _tag: 'NoCapture', vm: entry.vm, at: `${from ?? ''} to ${to}` });
}
