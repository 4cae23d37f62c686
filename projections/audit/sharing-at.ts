// How the memory of VMs is made up at a point (brief, section 5, `sharing`).
//
// Invariant: pages = zero + pattern + unique + mergedIntra + mergedInter. For a content held by v VMs
// on p pages: unique 1, mergedInter v - 1, mergedIntra p - v.

import { assert } from '../../domain/assert.ts';
import { FIRST_CONTENT, isContent, UNKNOWN, ZERO } from '../../domain/page-writes.ts';
import { LedgerError } from '../../domain/ledger-error.ts';
import type { Position } from '../../domain/ports.ts';
import type { CaptureRow, VmEntry } from '../catalogue.ts';
import type { LedgerState } from '../ledger-state.ts';

export interface SharingCounts {
  readonly vms: number;
  readonly pages: number;
  readonly zero: number;
  readonly pattern: number;
  readonly unique: number;
  readonly mergedIntra: number;
  readonly mergedInter: number;
  readonly patched: number;
}

interface Tally {
  pages: number;
  zero: number;
  pattern: number;
  /** Pages, and VMs, that hold each content. */
  readonly pagesOf: Uint32Array;
  readonly vmsOf: Uint32Array;
}

/**
 * A moment of the whole ledger: a log position, or a time, at which each VM is as its newest capture
 * at or before it.
 */
export type Moment = { readonly position: Position } | { readonly timeMs: number };

/** The capture that a VM is at, or undefined. */
function rowAt(entry: VmEntry, moment: Moment): CaptureRow | undefined {
  if ('position' in moment) return entry.at(moment.position);
  const row = entry.resolve({ _tag: 'time', timeMs: moment.timeMs });
  return row._tag === 'Right' ? row.right : undefined;
}

function isRetiredAt({ retired }: VmEntry, moment: Moment): boolean {
  if (retired === null) return false;
  return 'position' in moment
    ? retired.position <= moment.position
    : retired.timeMs <= moment.timeMs;
}

/** VMs registered and not retired at a moment, with a capture there. */
const vmsAt = (state: LedgerState, moment: Moment): VmEntry[] =>
  [...state.catalogue.vms.values()].filter(
    (entry) =>
      entry.state.registered !== null &&
      rowAt(entry, moment) !== undefined &&
      !isRetiredAt(entry, moment),
  );

async function count(
  state: LedgerState,
  tally: Tally,
  entry: VmEntry,
  moment: Moment,
): Promise<Set<number>> {
  const row = rowAt(entry, moment);
  assert(row !== undefined, 'a counted VM has a capture');
  const table = await state.tables.at(entry, state.contents, row);
  const held = new Set<number>();
  for (const holding of table) {
    tally.pages += 1;
    if (holding === UNKNOWN)
      throw new LedgerError(
        'POINT_DAMAGED',
        `the memory of VM ${entry.vm} at capture ${row.capture} is not whole, so it cannot be counted; \`pageledger verify\` names the damage`,
        { vm: entry.vm, capture: row.capture },
      );
    if (holding === ZERO) tally.zero += 1;
    else if (!isContent(holding)) tally.pattern += 1;
    else {
      const content = holding - FIRST_CONTENT;
      tally.pagesOf[content]! += 1;
      if (tally.pagesOf[content] === 1 || !held.has(content)) held.add(content);
    }
  }
  for (const content of held) tally.vmsOf[content]! += 1;
  return held;
}

/** Counts over all VMs at a moment, or of one VM among them. O(pages of all VMs). */
export async function sharingAt(
  state: LedgerState,
  at: Moment & { readonly vm: string | null },
): Promise<SharingCounts> {
  const tally: Tally = {
    pages: 0,
    zero: 0,
    pattern: 0,
    pagesOf: new Uint32Array(state.contents.count),
    vmsOf: new Uint32Array(state.contents.count),
  };
  const vms = vmsAt(state, at);
  const own = { pages: 0, zero: 0, pattern: 0, held: new Set<number>() };
  for (const entry of vms) {
    const { pages, zero, pattern } = tally;
    const held = await count(state, tally, entry, at);
    if (entry.vm !== at.vm) continue;
    Object.assign(own, {
      pages: tally.pages - pages,
      zero: tally.zero - zero,
      pattern: tally.pattern - pattern,
      held,
    });
  }
  if (at.vm === null) return countsOfAll(tally, vms.length);
  let unique = 0;
  for (const content of own.held) if (tally.vmsOf[content] === 1) unique += 1;
  const mergedInter = own.held.size - unique;
  const { pages, zero, pattern } = own;
  const mergedIntra = pages - zero - pattern - own.held.size;
  const isThere = vms.some((entry) => entry.vm === at.vm);
  return {
    vms: isThere ? 1 : 0,
    pages,
    zero,
    pattern,
    unique,
    mergedIntra,
    mergedInter,
    patched: 0,
  };
}

function countsOfAll(tally: Tally, vms: number): SharingCounts {
  let unique = 0;
  let mergedIntra = 0;
  let mergedInter = 0;
  for (let content = 0; content < tally.pagesOf.length; content += 1) {
    const pages = tally.pagesOf[content]!;
    if (pages === 0) continue;
    const holders = tally.vmsOf[content]!;
    unique += 1;
    mergedInter += holders - 1;
    mergedIntra += pages - holders;
  }
  const { pages, zero, pattern } = tally;
  assert(pages === zero + pattern + unique + mergedIntra + mergedInter, 'every page counts once');
  return { vms, pages, zero, pattern, unique, mergedIntra, mergedInter, patched: 0 };
}
