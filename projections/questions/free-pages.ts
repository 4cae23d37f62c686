// What pages cost that guests held to be free: at a moment, and over the whole history. Which those are a
// guest says itself; of one that does not, no page counts as free.

import { contentOf, holdingOfContent, isContent } from '../../domain/values/holding.ts';
import type { Contents } from '../models/contents.ts';
import type { LedgerState } from '../models/ledger-state.ts';
import { vmsAt, type Moment, type VmAt } from './moment.ts';
import { StoredSizes } from './stored-sizes.ts';

/** Which pages a guest held to be free at a capture, 1 each; null: it does not say. */
export type FreePagesOf = (at: VmAt) => Promise<Uint8Array | null>;

/** What pages cost at a moment that guests hold to be free there. */
export interface FreeReport {
  readonly freePages: number;
  /** Contents that such pages alone hold, and what these take in the page store. */
  readonly freeContents: number;
  readonly freeBytes: number;
  /** VMs whose guests do not say which of their pages are free. */
  readonly undescribedVms: readonly string[];
}

/** Contents that some pages hold, 1 each. */
function mark(contents: Uint8Array, table: Uint32Array, isMarked: (gfn: number) => boolean): void {
  for (let gfn = 0; gfn < table.length; gfn += 1)
    if (isContent(table[gfn]!) && isMarked(gfn)) contents[contentOf(table[gfn]!)] = 1;
}

/** Contents and bytes of what is marked. */
function costOf(contents: Contents, isCounted: (content: number) => boolean) {
  const sizes = new StoredSizes(contents);
  let count = 0;
  let bytes = 0;
  for (let content = 0; content < contents.count; content += 1) {
    if (!isCounted(content)) continue;
    const size = sizes.bytesOf(holdingOfContent(content));
    if (size === 0) continue;
    count += 1;
    bytes += size;
  }
  return { count, bytes: Math.round(bytes) };
}

/**
 * What free pages of all VMs cost at a moment, or of one. O(pages of all VMs) and the contents there are,
 * beside what their guests are asked.
 */
export async function freeReport(
  state: LedgerState,
  at: Moment & { readonly vm: string | null; readonly freePagesOf: FreePagesOf },
): Promise<FreeReport> {
  const { contents } = state;
  const isFree = new Uint8Array(contents.count);
  const isNeeded = new Uint8Array(contents.count);
  const undescribedVms: string[] = [];
  let freePages = 0;
  for (const vm of vmsAt(state.catalogue, at)) {
    const { entry, row } = vm;
    if (entry.mapAt(row.capture) === null) continue;
    const table = await state.tables.at(entry, contents, row);
    const isAsked = at.vm === null || at.vm === entry.vm;
    const free = isAsked ? await at.freePagesOf(vm) : null;
    if (isAsked && free === null) undescribedVms.push(entry.vm);
    mark(isNeeded, table, (gfn) => free?.[gfn] !== 1);
    if (free === null) continue;
    mark(isFree, table, (gfn) => free[gfn] === 1);
    freePages += free.reduce((sum, each) => sum + each, 0);
  }
  const isAlone = (content: number): boolean => isFree[content] === 1 && isNeeded[content] === 0;
  const { count: freeContents, bytes: freeBytes } = costOf(contents, isAlone);
  return { freePages, freeContents, freeBytes, undescribedVms };
}

/** How much of a history is of pages that guests held to be free when they were captured. */
export interface FreeEvents {
  readonly pageEvents: number;
  readonly freePageEvents: number;
  /** Captures of which nobody says which pages were free: of forgotten ones, and of other guests. */
  readonly undescribedCaptures: number;
}

/** Counts, capture by capture, what a history has of free pages. */
export class FreeHistory {
  readonly #contents: Contents;
  readonly #freePagesOf: FreePagesOf;
  readonly #isNeeded: Uint8Array;
  /** Pages that the capture under way wrote. */
  #written: number[] = [];
  #events = { pageEvents: 0, freePageEvents: 0, undescribedCaptures: 0 };

  constructor(contents: Contents, freePagesOf: FreePagesOf) {
    this.#contents = contents;
    this.#freePagesOf = freePagesOf;
    this.#isNeeded = new Uint8Array(contents.count);
  }

  write(gfn: number): void {
    this.#written.push(gfn);
  }

  /** The capture under way is whole. */
  async settle(at: VmAt, table: Uint32Array): Promise<void> {
    const free = await this.#freePagesOf(at);
    this.#events.pageEvents += this.#written.length;
    if (free === null) this.#events.undescribedCaptures += 1;
    else for (const gfn of this.#written) this.#events.freePageEvents += free[gfn] ?? 0;
    mark(this.#isNeeded, table, (gfn) => free?.[gfn] !== 1);
    this.#written = [];
  }

  get events(): FreeEvents {
    return this.#events;
  }

  /** What was held at any capture by a page that was not free there. */
  get needed(): { readonly count: number; readonly bytes: number } {
    return costOf(this.#contents, (content) => this.#isNeeded[content] === 1);
  }
}
