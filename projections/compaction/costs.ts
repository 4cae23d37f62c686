// What captures and VMs cost: the stored bytes that only one of them
// needs, and its share of those that several need. Forgetting it alone frees the first; the second is
// shared out evenly, so that all of it sums up to what is stored and needed.
//
// Needed is what pages, device states and attachments of kept captures hold, and what patches among
// that refer to. A content that a VM holds over many captures is counted when it ends: two walks over
// the kept captures, one to count who needs what, one to share it out; O(pages) a run of captures,
// O(page events), 20 bytes a content.

import {
  contentOf,
  holdingOfContent,
  holdingOfPattern,
  isContent,
  isKeptPattern,
  keptPatternOf,
  type Holding,
} from '../../domain/values/holding.ts';
import { pageCountOf } from '../../domain/values/memory-map.ts';
import type { Catalogue } from '../models/catalogue.ts';
import type { CaptureRow, VmEntry } from '../models/vm-entry.ts';
import type { Contents } from '../models/contents.ts';
import type { LedgerState } from '../models/ledger-state.ts';
import { StoredSizes } from '../questions/stored-sizes.ts';
import { keptCaptures } from './kept-captures.ts';
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

/** Told when a VM's memory needs something no more: it did in captures `since` to `until`, less one. */
type Ended = (index: number, since: number, until: number) => void;

/** What the memory of a VM needs, capture by capture. Contents come first, then kept patterns. */
class Needs {
  readonly #contents: Contents;
  /** By what each is needed now: pages, attachments, patches. */
  readonly #by: Uint32Array;
  readonly #since: Uint32Array;
  readonly #ended: Ended;
  /** Number of the capture among the kept ones of its VM. */
  at = 0;

  constructor(contents: Contents, ended: Ended) {
    this.#contents = contents;
    this.#by = new Uint32Array(indexesIn(contents));
    this.#since = new Uint32Array(indexesIn(contents));
    this.#ended = ended;
  }

  #indexOf(holding: Holding): number {
    if (isContent(holding)) return contentOf(holding);
    return isKeptPattern(holding) ? this.#contents.count + keptPatternOf(holding) : -1;
  }

  /** What a content is kept as a patch of; null: it is none. */
  #referenceOf(holding: Holding): Holding | null {
    const place = this.#contents.placeOf(holding);
    return place < 0 ? null : this.#contents.referenceAt(place);
  }

  acquire(holding: Holding): void {
    for (let next: Holding | null = holding; next !== null; next = this.#referenceOf(next)) {
      const index = this.#indexOf(next);
      if (index < 0) return;
      this.#by[index]! += 1;
      // What it refers to is needed already.
      if (this.#by[index]! > 1) return;
      this.#since[index] = this.at;
    }
  }

  release(holding: Holding): void {
    for (let next: Holding | null = holding; next !== null; next = this.#referenceOf(next)) {
      const index = this.#indexOf(next);
      if (index < 0) return;
      this.#by[index]! -= 1;
      if (this.#by[index]! > 0) return;
      this.#ended(index, this.#since[index]!, this.at);
    }
  }

  /** Goes on to a capture in which a page holds something else. */
  replace(table: Uint32Array, gfn: number, holding: Holding): void {
    const old = table[gfn]!;
    if (old === holding) return;
    this.acquire(holding);
    this.release(old);
    table[gfn] = holding;
  }
}

const indexesIn = ({ count, patternCount }: Contents): number => count + patternCount;

const holdingAt = ({ count }: Contents, index: number): Holding =>
  index < count ? holdingOfContent(index) : holdingOfPattern(index - count);

/** Walks the kept captures of a VM; gives their rows. */
async function walk(
  state: LedgerState,
  entry: VmEntry,
  needs: Needs,
): Promise<readonly CaptureRow[]> {
  const rows: CaptureRow[] = [];
  let current: Uint32Array | null = null;
  let beside = new Uint32Array(0);
  for await (const kept of keptCaptures(state, entry)) {
    needs.at = rows.length;
    rows.push(kept.row);
    for (const holding of kept.beside) needs.acquire(holding);
    for (const holding of beside) needs.release(holding);
    beside = Uint32Array.from(kept.beside);
    if (kept.table !== null) {
      current ??= new Uint32Array(kept.table.length);
      for (let gfn = 0; gfn < kept.table.length; gfn += 1)
        needs.replace(current, gfn, kept.table[gfn]!);
    }
    for (const { gfns, holdings } of kept.writes)
      for (let row = 0; row < gfns.length; row += 1)
        needs.replace(current!, gfns[row]!, holdings[row]!);
  }
  needs.at = rows.length;
  for (const holding of current ?? []) needs.release(holding);
  for (const holding of beside) needs.release(holding);
  return rows;
}

/** How many captures, and VMs, need each content and pattern. */
class Counts {
  readonly captures: Uint32Array;
  readonly vms: Uint32Array;
  readonly #lastVm: Uint32Array;

  constructor(contents: Contents) {
    this.captures = new Uint32Array(indexesIn(contents));
    this.vms = new Uint32Array(indexesIn(contents));
    this.#lastVm = new Uint32Array(indexesIn(contents));
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

/** What kept captures and their VMs cost; null where events are lost, so that it cannot be told. */
export async function costsOf(state: LedgerState): Promise<Costs | null> {
  const { contents, catalogue } = state;
  if (lossIn(catalogue) !== null) return null;
  const counts = new Counts(contents);
  const sizes = new StoredSizes(contents);
  const entries = registeredIn(catalogue);
  for (const [number, entry] of entries.entries())
    await walk(
      state,
      entry,
      new Needs(contents, (index, since, until) => {
        counts.captures[index]! += until - since;
        if (until > since && counts.meet(index, number + 1)) counts.vms[index]! += 1;
      }),
    );
  counts.restart();
  const captures = new Map<string, ReadonlyMap<number, Cost>>();
  const vms = new Map<string, Cost>();
  for (const [number, entry] of entries.entries()) {
    const shares = new VmShares(entry.captures.length);
    const needs = new Needs(contents, (index, since, until) => {
      if (until === since) return;
      const bytes = sizes.bytesOf(holdingAt(contents, index));
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
    const rows = await walk(state, entry, needs);
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
