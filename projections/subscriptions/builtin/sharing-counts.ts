// The projection `sharing`: how the memory of all VMs is made up, as the command `sharing` counts it
// (questions/sharing-at.ts), kept up page by page: a change costs what it changes.
//
// Invariant: pages = zero + pattern + unique + mergedIntra + mergedInter + unknown.

import * as t from 'io-ts';
import type { EventOf } from '../../../domain/events/control.ts';
import { KIND_MASK, KIND_STORED, type PageColumns } from '../../../domain/events/pages-written.ts';
import { pageCountOf, tablePages } from '../../../domain/values/memory-map.ts';
import { isContent, isTold, UNKNOWN, ZERO, type Holding } from '../../../domain/values/holding.ts';
import { decodeState, StateReader, StateWriter } from '../../models/state-bytes.ts';
import {
  rowsOf,
  type BaselineChange,
  type CaptureChange,
  type Change,
  type RewriteChange,
} from '../../commits.ts';
import { grownTable, unknownTable, type PageTable } from '../../table.ts';
import type { Folded, Projection } from '../../projection.ts';

interface CountedVm {
  /** Null before the VM's memory map is known. Of the pages that its newest capture has. */
  table: PageTable | null;
  /** Pages that its next capture has. */
  pages: number;
  /** Its newest capture; 0 before the first. */
  capture: number;
  isRetired: boolean;
  /** Pages of the VM that hold each content. */
  readonly pagesOf: Map<Holding, number>;
}

const HEAD = t.array(
  t.strict({ vm: t.string, capture: t.number, pages: t.number, isRetired: t.boolean }),
);

class SharingTally {
  readonly vms = new Map<string, CountedVm>();
  /** VMs that hold each content. */
  readonly #vmsOf = new Map<Holding, number>();
  /** Contents that are stored as patches, held or not. */
  readonly patches = new Set<Holding>();
  /** Contents of pages that are held large. */
  readonly large = new Set<Holding>();
  /** Those that are held: contents, and pages. */
  #patched = 0;
  #heldLarge = 0;
  #zero = 0;
  #pattern = 0;
  #unknown = 0;
  /** Pages that hold contents. */
  #held = 0;
  /** Pairs of a VM and a content that it holds. */
  #pairs = 0;

  vm(vm: string): CountedVm {
    let of = this.vms.get(vm);
    if (of === undefined) {
      of = { table: null, pages: 0, capture: 0, isRetired: false, pagesOf: new Map() };
      this.vms.set(vm, of);
    }
    return of;
  }

  /** So many pages of a VM, 1 or -1, hold this from now on. */
  shift(of: CountedVm, holding: Holding, by: 1 | -1): void {
    if (holding === ZERO) this.#zero += by;
    else if (!isTold(holding)) this.#unknown += by;
    else if (!isContent(holding)) this.#pattern += by;
    else this.#shiftContent(of, holding, by);
  }

  #shiftContent(of: CountedVm, holding: Holding, by: 1 | -1): void {
    const before = of.pagesOf.get(holding) ?? 0;
    const after = before + by;
    this.#held += by;
    if (this.large.has(holding)) this.#heldLarge += by;
    if (after === 0) of.pagesOf.delete(holding);
    else of.pagesOf.set(holding, after);
    if (before !== 0 && after !== 0) return;
    this.#pairs += by;
    const vmsBefore = this.#vmsOf.get(holding) ?? 0;
    const vms = vmsBefore + by;
    if (vms === 0) this.#vmsOf.delete(holding);
    else this.#vmsOf.set(holding, vms);
    if ((vms === 0 || vmsBefore === 0) && this.patches.has(holding)) this.#patched += by;
  }

  /** How a content is stored from now on. */
  store(holding: Holding, as: 'page' | 'patch'): void {
    if ((as === 'patch') === this.patches.has(holding)) return;
    const by = as === 'patch' ? 1 : -1;
    if (as === 'patch') this.patches.add(holding);
    else this.patches.delete(holding);
    if (this.#vmsOf.has(holding)) this.#patched += by;
  }

  /** Knows which of some contents are held large, before any page that holds them is counted. */
  noteLarge(holdings: Uint32Array, { isHeldLarge }: Pick<Folded, 'isHeldLarge'>): void {
    for (const holding of holdings)
      if (isContent(holding) && isHeldLarge(holding)) this.large.add(holding);
  }

  /** Counts all pages of a table, or those from one on, in or out. */
  shiftAll(of: CountedVm, by: 1 | -1, from = 0): void {
    for (const holding of of.table?.subarray(from) ?? []) this.shift(of, holding, by);
  }

  counts(): Readonly<Record<string, number>> {
    const unique = this.#vmsOf.size;
    let vms = 0;
    for (const of of this.vms.values()) if (of.capture > 0 && !of.isRetired) vms += 1;
    return {
      vms,
      pages: this.#zero + this.#pattern + this.#unknown + this.#held,
      zero: this.#zero,
      pattern: this.#pattern,
      unique,
      mergedIntra: this.#held - this.#pairs,
      mergedInter: this.#pairs - unique,
      patched: this.#patched,
      heldLarge: this.#heldLarge,
      unknown: this.#unknown,
    };
  }
}

/** What VMs held where history begins. */
function applyBaseline(
  tally: SharingTally,
  { vms, patches }: BaselineChange,
  folded: Folded,
): void {
  for (const holding of patches) tally.store(holding, 'patch');
  for (const { vm, capture, isRetired, holdings } of vms) {
    const of = tally.vm(vm);
    of.capture = capture;
    of.isRetired = isRetired;
    of.table = isRetired ? null : holdings;
    of.pages = holdings.length;
    tally.noteLarge(holdings, folded);
    tally.shiftAll(of, 1);
  }
}

function applyCapture(tally: SharingTally, change: CaptureChange, folded: Folded): void {
  const of = tally.vm(change.committed.vm);
  const { table: before } = of;
  const { capture } = change.committed;
  if (before === null) return;
  // Nothing is known of the other pages where a commit or a batch before was lost.
  const isWiped = change.damage !== null || capture !== of.capture + 1;
  if (isWiped && of.capture > 0) tally.shiftAll(of, -1);
  const pages = tablePages({ before: before.length, claimed: of.pages, told: rowsOf(change) });
  const table = grownTable(before, pages);
  of.pages = pages;
  of.table = table;
  if (isWiped) table.fill(UNKNOWN);
  tally.shiftAll(of, 1, isWiped || of.capture === 0 ? 0 : before.length);
  of.capture = capture;
  const patched = patchedSlots(change);
  for (const columns of change.batches) {
    const holdings = folded.holdings(columns);
    tally.noteLarge(holdings, folded);
    if (patched.size > 0) storePatches(tally, { change, columns, holdings, patched }, folded);
    for (let row = 0; row < holdings.length; row += 1) {
      const gfn = columns.gfns[row]!;
      if (gfn >= table.length) continue;
      tally.shift(of, table[gfn]!, -1);
      tally.shift(of, holdings[row]!, 1);
      table[gfn] = holdings[row]!;
    }
  }
}

/** Slots of a capture's own packs that are patches, by the pack's name. */
function patchedSlots({ packs }: CaptureChange): Map<string, ReadonlySet<number>> {
  const slots = new Map<string, ReadonlySet<number>>();
  for (const { name, patches } of packs)
    if (patches.slots.length > 0) slots.set(name, new Set(patches.slots));
  return slots;
}

/** Notes which rows stored their page as a patch. */
function storePatches(
  tally: SharingTally,
  of: {
    readonly change: CaptureChange;
    readonly columns: PageColumns;
    readonly holdings: Uint32Array;
    readonly patched: ReadonlyMap<string, ReadonlySet<number>>;
  },
  folded: Folded,
): void {
  const { change, columns, holdings, patched } = of;
  const kinds = folded.kinds(change, columns);
  for (let row = 0; row < kinds.length; row += 1) {
    if ((kinds[row]! & KIND_MASK) !== KIND_STORED) continue;
    const slots = patched.get(columns.packs[columns.packIndexes[row]!]!);
    if (slots?.has(columns.slots[row]!) === true) tally.store(holdings[row]!, 'patch');
  }
}

/** Compaction stores pages anew: as patches or whole. Copied blocks hold what they held, as they held it. */
function applyRewrite(tally: SharingTally, { pack }: RewriteChange, folded: Folded): void {
  if (pack.isCopied) return;
  const patched = new Set(pack.patches.slots);
  for (const [slot, holding] of folded.rewritten(pack).entries())
    if (isContent(holding)) tally.store(holding, patched.has(slot) ? 'patch' : 'page');
}

/** The next capture may have more pages, and has never fewer. */
function applyMap(of: CountedVm, event: EventOf<'VmRegistered' | 'MemoryMapChanged'>): void {
  const isFirst = event.type === 'VmRegistered';
  if (isFirst !== (of.table === null) || of.isRetired) return;
  of.table ??= unknownTable(0);
  of.pages = Math.max(of.pages, pageCountOf(event.data.memoryMap));
}

function apply(tally: SharingTally, change: Change, folded: Folded): void {
  if (change._tag === 'baseline') applyBaseline(tally, change, folded);
  if (change._tag === 'capture') applyCapture(tally, change, folded);
  if (change._tag === 'rewrite') applyRewrite(tally, change, folded);
  if (change._tag !== 'control') return;
  const { event } = change;
  if (event.type === 'VmRegistered' || event.type === 'MemoryMapChanged')
    applyMap(tally.vm(event.data.vm), event);
  if (event.type !== 'VmRetired') return;
  const of = tally.vm(event.data.vm);
  if (of.capture > 0) tally.shiftAll(of, -1);
  of.isRetired = true;
  of.table = null;
}

function save(tally: SharingTally): Uint8Array {
  const head = [...tally.vms].map(([vm, { capture, pages, isRetired }]) => ({
    vm,
    capture,
    pages,
    isRetired,
  }));
  const writer = new StateWriter().text(JSON.stringify(head));
  writer.column(Uint32Array.from(tally.patches));
  writer.column(Uint32Array.from(tally.large));
  for (const { table } of tally.vms.values())
    writer.u32(table === null ? 0 : 1).column(table ?? new Uint32Array(0));
  return writer.bytes();
}

function load(bytes: Uint8Array): SharingTally {
  const reader = new StateReader(bytes);
  const tally = new SharingTally();
  const head = decodeState(reader.text(), HEAD);
  for (const holding of reader.words()) tally.store(holding, 'patch');
  for (const holding of reader.words()) tally.large.add(holding);
  for (const { vm, capture, pages, isRetired } of head) {
    const of = tally.vm(vm);
    const isThere = reader.u32() === 1;
    const table = reader.words();
    of.capture = capture;
    of.pages = pages;
    of.isRetired = isRetired;
    of.table = isThere ? table : null;
    if (capture > 0) tally.shiftAll(of, 1);
  }
  return tally;
}

export const sharingCounts: Projection<SharingTally> = {
  name: 'sharing',
  version: 6,
  initial: () => new SharingTally(),
  apply,
  save,
  load,
  view: (tally) => tally.counts(),
};
