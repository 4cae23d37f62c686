// The clones that run, of one VM: what their leases do not say of them.

import { evolveClones, type ClonesEvent, type RunningClones } from '../../domain/clones.ts';
import type { EventOf } from '../../domain/events/control.ts';

/** A clone that runs: more of it says the lease that it is named by. */
export interface CloneRow {
  readonly clone: string;
  /** How it comes by its memory: a CloneKind, or what a later release calls so. */
  readonly kind: string;
  /** The block of memory that it maps; null: none. */
  readonly block: string | null;
  /** Where it is controlled on its host; null: that was not said. */
  readonly qmp: string | null;
  /** Pages of it that left the host's memory so far, each as often as it did. */
  readonly dropped: number;
}

export const runningIn = (rows: readonly CloneRow[]): RunningClones =>
  new Set(rows.map(({ clone }) => clone));

/** Changes the rows by an event. A clone counts where its lease does: in a copy of a ledger none runs. */
export function applyToClones(
  {
    clones,
    leases,
  }: { readonly clones: CloneRow[]; readonly leases: readonly { lease: string }[] },
  event: ClonesEvent | EventOf<'LeaseEnded'>,
): void {
  const running = evolveClones(runningIn(clones), event);
  if (event.type === 'CloneStarted') {
    const { clone, kind, block, qmp } = event.data;
    if (leases.some(({ lease }) => lease === clone))
      clones.push({ clone, kind, block, qmp, dropped: 0 });
    return;
  }
  if (event.type === 'PageEvicted') {
    const { clone, dropped } = event.data;
    const i = clones.findIndex((row) => row.clone === clone);
    if (i >= 0) clones[i] = { ...clones[i]!, dropped: clones[i]!.dropped + dropped };
    return;
  }
  for (let i = clones.length - 1; i >= 0; i -= 1)
    if (!running.has(clones[i]!.clone)) clones.splice(i, 1);
}
