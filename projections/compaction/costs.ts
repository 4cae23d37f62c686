// What captures and VMs cost: the stored bytes that only one of them
// needs, and its share of those that several need. Forgetting it alone frees the first; the second is
// shared out evenly, so that all of it sums up to what is stored and needed.
//
// Needed is what pages, device states and attachments of kept captures hold, and what patches among
// that refer to. A content that a VM holds over many captures is counted when it ends: what each needs is
// told twice, once to count who needs what, once to share it out. O(pages) a run of captures, O(page
// events), 24 bytes a content.

import { pageCountOf } from '../../domain/values/memory-map.ts';
import type { Catalogue } from '../models/catalogue.ts';
import type { CaptureRow, VmEntry } from '../models/vm-entry.ts';
import type { Contents } from '../models/contents.ts';
import type { LedgerState } from '../models/ledger-state.ts';
import { StoredSizes } from '../questions/stored-sizes.ts';
import { neededAt, neededIn, NeededSpans } from './needed-spans.ts';
import { lossIn } from './survey.ts';

/** Stored bytes; not whole numbers. */
export interface Cost {
  /** What nothing else needs. */
  readonly ownBytes: number;
  /** Its part of what others need too. */
  readonly sharedBytes: number;
}

export interface Costs {
  /** By VM and capture number, of kept captures. */
  readonly captures: ReadonlyMap<string, ReadonlyMap<number, Cost>>;
  readonly vms: ReadonlyMap<string, Cost>;
}

/** How many captures, and VMs, need each content and pattern. */
class Counts {
  readonly captures: Uint32Array;
  readonly vms: Uint32Array;
  readonly #lastVm: Uint32Array;

  constructor(contents: Contents) {
    this.captures = new Uint32Array(neededIn(contents));
    this.vms = new Uint32Array(neededIn(contents));
    this.#lastVm = new Uint32Array(neededIn(contents));
  }

  /** Counts a VM, by a number from 1, that needs something; false: it was counted. */
  meet(index: number, vm: number): boolean {
    if (this.#lastVm[index] === vm) return false;
    this.#lastVm[index] = vm;
    return true;
  }

  /** The VMs may be met once more. */
  restart(): void {
    this.#lastVm.fill(0);
  }
}

/** What one VM and its captures come to. */
class VmShares {
  readonly own: Float64Array;
  /** What a capture's share of the common has more than that of the one before it. */
  readonly change: Float64Array;
  ownBytes = 0;
  sharedBytes = 0;

  constructor(captures: number) {
    this.own = new Float64Array(captures);
    this.change = new Float64Array(captures + 1);
  }

  byCapture(rows: readonly CaptureRow[]): ReadonlyMap<number, Cost> {
    let sharedBytes = 0;
    return new Map(
      rows.map(({ capture }, i) => {
        sharedBytes += this.change[i]!;
        return [capture, { ownBytes: this.own[i]!, sharedBytes: Math.max(0, sharedBytes) }];
      }),
    );
  }
}

const registeredIn = ({ vms }: Catalogue): readonly VmEntry[] =>
  [...vms.values()].filter(({ state }) => state.registered !== null);

/**
 * What kept captures and their VMs cost; null where events are lost, so that it cannot be told. Spans for
 * which there is no room are found a second time.
 */
export async function costsOf(state: LedgerState, spansMax?: number): Promise<Costs | null> {
  const { contents, catalogue } = state;
  if (lossIn(catalogue) !== null) return null;
  const counts = new Counts(contents);
  const sizes = new StoredSizes(contents);
  const needed = new NeededSpans(state, spansMax);
  const entries = registeredIn(catalogue);
  for (const [number, entry] of entries.entries())
    await needed.tell(entry, (index, since, until) => {
      counts.captures[index]! += until - since;
      if (until > since && counts.meet(index, number + 1)) counts.vms[index]! += 1;
    });
  counts.restart();
  const captures = new Map<string, ReadonlyMap<number, Cost>>();
  const vms = new Map<string, Cost>();
  for (const [number, entry] of entries.entries()) {
    const shares = new VmShares(entry.captures.length);
    const rows = await needed.tell(entry, (index, since, until) => {
      if (until === since) return;
      const bytes = sizes.bytesOf(neededAt(contents, index));
      const by = counts.captures[index]!;
      if (by === 1) shares.own[since]! += bytes;
      else {
        shares.change[since]! += bytes / by;
        shares.change[until]! -= bytes / by;
      }
      if (!counts.meet(index, number + 1)) return;
      if (counts.vms[index] === 1) shares.ownBytes += bytes;
      else shares.sharedBytes += bytes / counts.vms[index]!;
    });
    captures.set(entry.vm, shares.byCapture(rows));
    const { ownBytes, sharedBytes } = shares;
    vms.set(entry.vm, { ownBytes, sharedBytes });
  }
  return { captures, vms };
}

/** Page events that reading the batches of a capture takes as long as. */
const CAPTURE_ROWS = 256;
/** Pages of a table that are walked over in the time of one page event. */
const TABLE_PAGES = 8;

/** Whether `costsOf` takes no more than so many page events do. Looks at no more captures than that many. */
export function areCostsSoonTold(catalogue: Catalogue, rowsMax: number): boolean {
  let rows = 0;
  for (const entry of registeredIn(catalogue)) {
    const pages = pageCountOf(entry.state.registered!.memoryMap);
    let before = 0;
    for (let i = 0; i < entry.rows.length; i += 1) {
      const capture = entry.rows.captureAt(i);
      if (entry.isForgotten(capture)) continue;
      const isFollowing = before > 0 && capture === before + 1;
      rows += CAPTURE_ROWS + (isFollowing ? entry.rows.writtenAt(i) : pages / TABLE_PAGES);
      if (rows > rowsMax) return false;
      before = capture;
    }
  }
  return true;
}
