// Moments of the whole ledger: what each VM is at, there.

import { pageCountOf } from '../../domain/values/memory-map.ts';
import type { Position } from '../../domain/ports/event-log.ts';
import type { Catalogue } from '../models/catalogue.ts';
import type { CaptureRow, VmEntry } from '../models/vm-entry.ts';

/**
 * A moment of the whole ledger: a log position, or a time, at which each VM is as its newest capture
 * at or before it.
 */
export type Moment = { readonly position: Position } | { readonly timeMs: number };

/** The capture that a VM is at, also one that was forgotten since, or undefined. */
export function rowAt(entry: VmEntry, moment: Moment): CaptureRow | undefined {
  if ('position' in moment) return entry.at(moment.position);
  const row = entry.find({ _tag: 'time', timeMs: moment.timeMs });
  return row._tag === 'Right' ? row.right : undefined;
}

/** Whether a VM's life had ended at a moment. */
export function isRetiredAt({ retired }: VmEntry, moment: Moment): boolean {
  if (retired === null) return false;
  return 'position' in moment
    ? retired.position <= moment.position
    : retired.timeMs <= moment.timeMs;
}

/** A VM and the capture it is at. */
export interface VmAt {
  readonly entry: VmEntry;
  readonly row: CaptureRow;
}

/** VMs registered and not retired at a moment, with a capture there. */
export function vmsAt(catalogue: Catalogue, moment: Moment): VmAt[] {
  const there: VmAt[] = [];
  for (const entry of catalogue.vms.values()) {
    const row = rowAt(entry, moment);
    if (entry.state.registered === null || row === undefined || isRetiredAt(entry, moment))
      continue;
    there.push({ entry, row });
  }
  return there;
}

/** Pages of a VM; 0 where it is not registered. */
export const pagesOfVm = ({ state }: VmEntry): number =>
  state.registered === null ? 0 : pageCountOf(state.registered.memoryMap);
