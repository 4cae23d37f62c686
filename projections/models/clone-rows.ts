// The clones of one VM: of those that run what their leases do not say of them, and those that are parked.

import {
  evolveClones,
  evolveParked,
  type ClonesEvent,
  type ParkedClones,
  type RunningClones,
} from '../../domain/clones.ts';
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

/** A clone that waits to be woken. */
export interface ParkedRow {
  readonly clone: string;
  /** The VM that it is recorded as, and the capture that it goes on from. */
  readonly as: string;
  readonly at: number;
  /** The capture that it was started from. */
  readonly capture: number | null;
  readonly privatePages: number;
  readonly timeMs: number;
}

export const parkedIn = (rows: readonly ParkedRow[]): ParkedClones =>
  new Set(rows.map(({ clone }) => clone));

export const runningIn = (rows: readonly CloneRow[]): RunningClones =>
  new Set(rows.map(({ clone }) => clone));

/** What the rows of a VM's clones are. */
interface CloneRows {
  readonly clones: CloneRow[];
  readonly parked: ParkedRow[];
  readonly leases: readonly { readonly lease: string; readonly capture: number }[];
}

function applyToParked(
  { parked, leases }: CloneRows,
  event: EventOf<'CloneParked' | 'CloneWoken'>,
  timeMs: number,
): void {
  const waiting = evolveParked(parkedIn(parked), event);
  for (let i = parked.length - 1; i >= 0; i -= 1)
    if (!waiting.has(parked[i]!.clone)) parked.splice(i, 1);
  if (event.type === 'CloneWoken' || waiting.size === parked.length) return;
  const { clone, as, at, privatePages } = event.data;
  const capture = leases.find(({ lease }) => lease === clone)?.capture ?? null;
  parked.push({ clone, as, at, capture, privatePages, timeMs });
}

/** Changes the rows by an event. A clone counts where its lease does: in a copy of a ledger none runs. */
export function applyToClones(
  rows: CloneRows,
  event: ClonesEvent | EventOf<'LeaseEnded'>,
  timeMs: number,
): void {
  const { clones, leases } = rows;
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
  if (event.type === 'CloneParked' || event.type === 'CloneWoken')
    applyToParked(rows, event, timeMs);
  for (let i = clones.length - 1; i >= 0; i -= 1)
    if (!running.has(clones[i]!.clone)) clones.splice(i, 1);
}
