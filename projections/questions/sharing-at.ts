// How the memory of VMs is made up at a moment.
//
// Invariant: pages = zero + pattern + unique + mergedIntra + mergedInter + unknown. For a content held
// by v VMs on p pages: unique 1, mergedInter v - 1, mergedIntra p - v. What is held large is a content of its
// own, whatever equals it. Pages are unknown where the source of a capture did not tell of them, and where
// the events that tell of them are damaged: one VM's damage is no reason not to answer of the others.

import { arePagesCounted } from '../../domain/invariants.ts';
import { assert } from '../../domain/values/assert.ts';
import { CLASS_ZERO, CLASSES_MAX } from '../../domain/ports/page-engine.ts';
import {
  FIRST_CONTENT,
  UNKNOWN,
  ZERO,
  contentOf,
  holdingOfContent,
  isContent,
  isTold,
  type Holding,
} from '../../domain/values/holding.ts';
import { publicPattern } from '../../domain/patterns/public-patterns.ts';
import type { Contents } from '../models/contents.ts';
import type { LedgerState } from '../models/ledger-state.ts';
import { vmsAt, type Moment, type VmAt } from './moment.ts';
import { StoredSizes } from './stored-sizes.ts';

/** How many pages there are, by how they are kept. */
export interface SharingCounts {
  readonly vms: number;
  readonly pages: number;
  readonly zero: number;
  readonly pattern: number;
  readonly unique: number;
  readonly mergedIntra: number;
  readonly mergedInter: number;
  /** Of the unique: contents that are stored as a patch. */
  readonly patched: number;
  /** Pages of which nobody knows what they hold: no source told it, or the events that do are damaged. */
  readonly unknown: number;
}

/** How memory is made up at a moment, and what its contents take. */
export interface SharingReport extends SharingCounts {
  /** Pages that are held large: of the unique ones, but where a clone shares its master's. */
  readonly heldLarge: number;
  /** The counted VMs, and those they are compared with, of which that is so of a page, or of all. */
  readonly damagedVms: readonly string[];
  /** Pages by the class of their pattern, zeros among them. */
  readonly classes: Float64Array;
  /** What the unique contents take in the page store: their parts of their blocks. */
  readonly uniqueBytes: number;
  /** Writes that broke a sharing, a minute, from the first capture to the last; null: no time passed. */
  readonly brokenPerMinute: number | null;
  /** Where one VM was asked for. */
  readonly vm: {
    /** Pages of other VMs that would be the only ones to hold their content if this VM left. */
    readonly leftPrivate: number;
    /** Contents that this VM shares with each other one, most first. */
    readonly sharedWith: readonly { readonly vm: string; readonly contents: number }[];
  } | null;
}

/** Where a descriptor says its class. */
const DESCRIPTOR_CLASS = 1;

/** Class of the pattern that a holding is. */
export function classOfPattern(contents: Contents, holding: Holding): number {
  if (holding === ZERO) return CLASS_ZERO;
  return holding < FIRST_CONTENT
    ? publicPattern(holding)[DESCRIPTOR_CLASS]!
    : contents.classOf(holding);
}

/** Pages of some VMs, counted. */
class Tally {
  readonly #contents: Contents;
  pages = 0;
  unknown = 0;
  heldLarge = 0;
  readonly classes = new Float64Array(CLASSES_MAX);
  /** Pages, and VMs, that hold each content. */
  readonly pagesOf: Uint32Array;
  readonly vmsOf: Uint32Array;
  /** The last VM that was counted and holds the content. */
  readonly #lastVm: Uint32Array;
  #vms = 0;

  constructor(contents: Contents) {
    this.#contents = contents;
    this.pagesOf = new Uint32Array(contents.count);
    this.vmsOf = new Uint32Array(contents.count);
    this.#lastVm = new Uint32Array(contents.count);
  }

  /** Counts a VM's pages. `onContent` is called once for each content that it holds. */
  add(table: Uint32Array, onContent?: (content: number) => void): void {
    this.#vms += 1;
    this.pages += table.length;
    for (const holding of table) {
      if (!isTold(holding)) {
        this.unknown += 1;
        continue;
      }
      if (!isContent(holding)) {
        this.classes[classOfPattern(this.#contents, holding)]! += 1;
        continue;
      }
      if (this.#contents.held.isLarge(holding)) this.heldLarge += 1;
      const content = contentOf(holding);
      this.pagesOf[content]! += 1;
      if (this.#lastVm[content] === this.#vms) continue;
      this.#lastVm[content] = this.#vms;
      this.vmsOf[content]! += 1;
      onContent?.(content);
    }
  }

  get patterns(): number {
    return this.classes.reduce((sum, pages) => sum + pages, 0);
  }
}

/** A VM's table, and whether something of it is not known; none where not even its memory map is. */
async function tableOf(
  state: LedgerState,
  { entry, row }: VmAt,
): Promise<{ readonly table: Uint32Array; readonly isDamaged: boolean }> {
  if (entry.mapAt(row.capture) === null) return { table: new Uint32Array(0), isDamaged: true };
  const table = await state.tables.at(entry, state.contents, row);
  return { table, isDamaged: table.includes(UNKNOWN) };
}

/** What the pages of the asked VM, or of all, come to. */
function countsOf(
  state: LedgerState,
  { all, own, vms }: { all: Tally; own: Tally; vms: number },
): SharingCounts & Pick<SharingReport, 'uniqueBytes' | 'heldLarge'> {
  const { contents } = state;
  const sizes = new StoredSizes(contents);
  const isWhole = all === own;
  let unique = 0;
  let patched = 0;
  let mergedInter = 0;
  let held = 0;
  let uniqueBytes = 0;
  for (let content = 0; content < own.pagesOf.length; content += 1) {
    if (own.pagesOf[content] === 0) continue;
    held += 1;
    const holders = all.vmsOf[content]!;
    if (isWhole) mergedInter += holders - 1;
    else if (holders > 1) {
      mergedInter += 1;
      continue;
    }
    unique += 1;
    uniqueBytes += sizes.bytesOf(holdingOfContent(content));
    if (contents.isPatch(holdingOfContent(content))) patched += 1;
  }
  const { pages, patterns, unknown, heldLarge } = own;
  const zero = own.classes[CLASS_ZERO]!;
  const mergedIntra = pages - patterns - unknown - (isWhole ? unique + mergedInter : held);
  const counts = { vms, pages, zero, pattern: patterns - zero, unique, mergedIntra, mergedInter };
  assert(arePagesCounted({ ...counts, unknown }), 'every page counts once');
  return { ...counts, patched, unknown, heldLarge, uniqueBytes: Math.round(uniqueBytes) };
}

const MINUTE_MS = 60_000;

/** Broken sharings a minute up to the rows that VMs are at, by their own times. */
function brokenPerMinute(vms: readonly VmAt[]): number | null {
  let broken = 0;
  let first = Number.POSITIVE_INFINITY;
  let last = Number.NEGATIVE_INFINITY;
  for (const { entry, row } of vms)
    for (const capture of entry.captures) {
      if (capture.capture > row.capture) break;
      broken += capture.broken;
      first = Math.min(first, capture.timeMs);
      last = Math.max(last, capture.timeMs);
    }
  return last > first ? (broken * MINUTE_MS) / (last - first) : null;
}

/**
 * Counts over all VMs at a moment, or of one VM among them, and what follows from them. O(pages of all
 * VMs), and the contents there are; memory: 12 bytes a content.
 */
export async function sharingReport(
  state: LedgerState,
  at: Moment & { readonly vm: string | null },
): Promise<SharingReport> {
  const vms = vmsAt(state.catalogue, at);
  const all = new Tally(state.contents);
  const damagedVms: string[] = [];
  const tableOfVm = async (vm: VmAt): Promise<Uint32Array> => {
    const { table, isDamaged } = await tableOf(state, vm);
    if (isDamaged) damagedVms.push(vm.entry.vm);
    return table;
  };
  if (at.vm === null) {
    for (const vm of vms) all.add(await tableOfVm(vm));
    const counts = countsOf(state, { all, own: all, vms: vms.length });
    const { classes } = all;
    return { ...counts, damagedVms, classes, brokenPerMinute: brokenPerMinute(vms), vm: null };
  }
  const asked = vms.filter(({ entry }) => entry.vm === at.vm);
  const own = new Tally(state.contents);
  for (const vm of asked) {
    const table = await tableOfVm(vm);
    own.add(table);
    all.add(table);
  }
  const sharedWith: { vm: string; contents: number }[] = [];
  for (const vm of vms) {
    if (vm.entry.vm === at.vm) continue;
    let contents = 0;
    all.add(await tableOfVm(vm), (content) => {
      if (own.pagesOf[content]! > 0) contents += 1;
    });
    if (contents > 0) sharedWith.push({ vm: vm.entry.vm, contents });
  }
  let leftPrivate = 0;
  for (const [content, held] of own.pagesOf.entries()) {
    const byOthers = all.pagesOf[content]! - held;
    if (held > 0 && byOthers === 1) leftPrivate += 1;
  }
  return {
    ...countsOf(state, { all, own, vms: asked.length }),
    damagedVms,
    classes: own.classes,
    brokenPerMinute: brokenPerMinute(asked),
    vm: { leftPrivate, sharedWith: sharedWith.toSorted((a, b) => b.contents - a.contents) },
  };
}
