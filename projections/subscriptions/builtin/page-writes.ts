// The projection `writes`: page events of each VM by type, as the fold says them.

import {
  holdsContent,
  isUntoldKind,
  KIND_BROKE,
  KIND_MASK,
  KIND_STORED,
} from '../../../domain/events/pages-written.ts';
import type { Projection } from '../../projection.ts';

export interface PageWrites {
  readonly vm: string;
  PageStored: number;
  PageMerged: number;
  PatternPageShared: number;
  PageUnknown: number;
  SharingBroken: number;
}

type WritesState = Record<string, PageWrites>;

function count(writes: PageWrites, kinds: Uint8Array): void {
  let stored = 0;
  let merged = 0;
  let unknown = 0;
  let broken = 0;
  for (const kind of kinds) {
    if ((kind & KIND_MASK) === KIND_STORED) stored += 1;
    else if (holdsContent(kind)) merged += 1;
    else if (isUntoldKind(kind)) unknown += 1;
    if ((kind & KIND_BROKE) !== 0) broken += 1;
  }
  writes.PageStored += stored;
  writes.PageMerged += merged;
  writes.PatternPageShared += kinds.length - stored - merged - unknown;
  writes.PageUnknown += unknown;
  writes.SharingBroken += broken;
}

const NONE = {
  PageStored: 0,
  PageMerged: 0,
  PatternPageShared: 0,
  PageUnknown: 0,
  SharingBroken: 0,
};

export const pageWrites: Projection<WritesState> = {
  name: 'writes',
  version: 2,
  initial: () => ({}),
  apply(state, change, folded) {
    if (change._tag !== 'capture') return;
    const { vm } = change.committed;
    // A VM may be named as something that every object has.
    if (!Object.hasOwn(state, vm)) state[vm] = { vm, ...NONE };
    const writes = state[vm]!;
    for (const columns of change.batches) count(writes, folded.kinds(change, columns));
  },
  view: (state) => ({ vms: Object.values(state) }),
};
