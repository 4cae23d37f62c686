// The projection `vms`: the captures of each VM.

import type { Projection } from '../../projection.ts';

export interface VmCaptures {
  readonly vm: string;
  captures: number;
  /** Page events of all of them since history begins, as recorded. */
  written: number;
  /** Of the newest one; null before the first. */
  capture: number | null;
  position: string | null;
  timeMs: number | null;
  isRetired: boolean;
}

type VmsState = Record<string, VmCaptures>;

const NONE = {
  captures: 0,
  written: 0,
  capture: null,
  position: null,
  timeMs: null,
  isRetired: false,
};

function entryOf(state: VmsState, vm: string): VmCaptures {
  // A VM may be named as something that every object has.
  if (!Object.hasOwn(state, vm)) state[vm] = { vm, ...NONE };
  return state[vm]!;
}

export const vmCaptures: Projection<VmsState> = {
  name: 'vms',
  version: 1,
  initial: () => ({}),
  apply(state, change) {
    if (change._tag === 'baseline')
      for (const { vm, capture, timeMs, isRetired } of change.vms) {
        const position = String(change.position);
        Object.assign(entryOf(state, vm), {
          captures: capture,
          capture,
          position,
          timeMs,
          isRetired,
        });
      }
    if (change._tag === 'control' && change.event.type === 'VmRegistered')
      entryOf(state, change.event.data.vm);
    if (change._tag === 'control' && change.event.type === 'VmRetired')
      entryOf(state, change.event.data.vm).isRetired = true;
    if (change._tag !== 'capture') return;
    const { vm, capture, timeMs, written } = change.committed;
    const entry = entryOf(state, vm);
    entry.captures += 1;
    entry.written += written;
    Object.assign(entry, { capture, position: String(change.position), timeMs });
  },
  view: (state) => ({ vms: Object.values(state) }),
};
