// The page events since the last segment, in memory: 9 bytes each, capture by capture in log order.
// They answer as segments do, and become the next one.

import { isContent, type Holding } from '../../domain/values/holding.ts';
import { lastWhere } from '../../domain/values/sorted-search.ts';
import {
  HOLDING_WORDS,
  NOT_HERE,
  type ContentHolders,
  type PageHolding,
} from './holding-records.ts';
import { orderedBy, rowsInOrder } from './radix-order.ts';
import type { Records } from './record-block.ts';

/** Words of a record of a page's version: VM, gfn, capture, what it holds, kind. */
export const VERSION_WORDS = 5;
/** Words of a record of an identifier: its first eight bytes, then the content. */
export const IDENTIFIER_WORDS = 3;

/**
 * In the place of a kind: what a page held where history begins, whatever write brought it there. No write is
 * of it: it has a class, and what it stored is no pattern.
 */
export const KIND_HELD = 0xfd;

/** One capture's page events. */
export interface RecentCapture {
  /** The VM's number in the index. */
  readonly vm: number;
  readonly capture: number;
  /** Nothing known of the VM's pages before holds after it. */
  readonly isWiped: boolean;
  readonly gfns: Uint32Array;
  readonly holdings: Uint32Array;
  /** As the fold says. */
  readonly kinds: Uint8Array;
}

/** A version of a page. */
export interface VersionRecord {
  readonly capture: number;
  readonly holding: Holding;
  readonly kind: number;
}

/** The row of a gfn in ascending gfns, or -1. */
export function rowOfGfn(gfns: Uint32Array, gfn: number): number {
  const row = lastWhere(gfns.length, (i) => gfns[i]! <= gfn);
  return gfns[row] === gfn ? row : -1;
}

export class RecentEvents {
  readonly captures: RecentCapture[] = [];
  /** Records of the identifiers of contents that came with them. */
  readonly #identifiers: Uint32Array[] = [];
  rows = 0;

  add(capture: RecentCapture): void {
    this.captures.push(capture);
    this.rows += capture.gfns.length;
  }

  addIdentifiers(records: Uint32Array): void {
    this.#identifiers.push(records);
  }

  /** Versions of a page, oldest first. O(captures log rows). */
  versions(vm: number, gfn: number): VersionRecord[] {
    const found: VersionRecord[] = [];
    for (const { capture, gfns, holdings, kinds, vm: of } of this.captures) {
      if (of !== vm) continue;
      const row = rowOfGfn(gfns, gfn);
      if (row >= 0) found.push({ capture, holding: holdings[row]!, kind: kinds[row]! });
    }
    return found;
  }

  /** Takes what happened to contents into who held them before. O(rows). */
  hold(contents: readonly ContentHolders[]): void {
    const holdersOf = new Map(contents.map((holders) => [holders.content, holders]));
    // Pages that hold one of the contents, by VM: what a write of another content ends.
    const heldBy = new Map<number, Map<number, ContentHolders>>();
    const pagesOf = (vm: number): Map<number, ContentHolders> => {
      let pages = heldBy.get(vm);
      if (pages === undefined) {
        pages = new Map();
        heldBy.set(vm, pages);
      }
      return pages;
    };
    for (const holders of contents)
      for (const { vm, gfn, to } of holders.all) if (to === NOT_HERE) pagesOf(vm).set(gfn, holders);
    for (const { vm, capture, isWiped, gfns, holdings } of this.captures) {
      const pages = pagesOf(vm);
      if (isWiped) {
        for (const holders of contents) holders.endAll({ vm, capture });
        pages.clear();
      }
      for (let row = 0; row < gfns.length; row += 1) {
        const next = holdersOf.get(holdings[row]!);
        if (next === undefined && pages.size === 0) continue;
        const gfn = gfns[row]!;
        const old = pages.get(gfn);
        if (old === next) continue;
        old?.end({ vm, gfn, capture });
        if (next === undefined) pages.delete(gfn);
        else {
          next.begin({ vm, gfn, capture });
          pages.set(gfn, next);
        }
      }
    }
  }

  /** Contents whose identifiers begin with these eight bytes, or with the first four of them. */
  contentsOf(first: readonly number[]): number[] {
    const found: number[] = [];
    for (const records of this.#identifiers)
      for (let at = 0; at < records.length; at += IDENTIFIER_WORDS) {
        let isFound = true;
        for (let i = 0; i < first.length; i += 1) isFound &&= records[at + i] === first[i];
        if (isFound) found.push(records[at + 2]!);
      }
    return found;
  }

  /** Numbers of the VMs that were captured. */
  vms(): number[] {
    return [...new Set(this.captures.map(({ vm }) => vm))].toSorted((a, b) => a - b);
  }

  /** Sorted records of the versions of pages. */
  versionRecords(): Records {
    const words = new Uint32Array(this.rows * VERSION_WORDS);
    let to = 0;
    for (const vm of this.vms()) {
      const { gfns, captures, holdings, kinds, order } = this.#ofVm(vm);
      for (const row of order) {
        words[to] = vm;
        words[to + 1] = gfns[row]!;
        words[to + 2] = captures[row]!;
        words[to + 3] = holdings[row]!;
        words[to + 4] = kinds[row]!;
        to += VERSION_WORDS;
      }
    }
    return { words, count: this.rows };
  }

  /** A VM's rows, and their order by gfn; rows of one gfn in their own order. */
  #ofVm(vm: number): {
    readonly gfns: Uint32Array;
    readonly captures: Uint32Array;
    readonly holdings: Uint32Array;
    readonly kinds: Uint8Array;
    readonly order: Uint32Array;
  } {
    const own = this.captures.filter((capture) => capture.vm === vm);
    const rows = own.reduce((sum, { gfns }) => sum + gfns.length, 0);
    const gfns = new Uint32Array(rows);
    const captures = new Uint32Array(rows);
    const holdings = new Uint32Array(rows);
    const kinds = new Uint8Array(rows);
    let at = 0;
    for (const capture of own) {
      gfns.set(capture.gfns, at);
      holdings.set(capture.holdings, at);
      kinds.set(capture.kinds, at);
      captures.fill(capture.capture, at, at + capture.gfns.length);
      at += capture.gfns.length;
    }
    return { gfns, captures, holdings, kinds, order: orderedBy(gfns, rowsInOrder(rows)) };
  }

  /**
   * Sorted records of who held which content. `tables` are the VMs' tables just before the first of
   * these events, by number; they become those just after the last one.
   */
  holdingRecords(tables: ReadonlyMap<number, Uint32Array>): Records {
    // A write ends at most one holding that began before it, and begins at most one.
    const words = new Uint32Array(2 * this.rows * HOLDING_WORDS);
    let to = 0;
    for (const vm of this.vms()) {
      const put = (content: number, page: Omit<PageHolding, 'vm'>): void => {
        words[to] = content;
        words[to + 1] = vm;
        words[to + 2] = page.gfn;
        words[to + 3] = page.from;
        words[to + 4] = page.to;
        to += HOLDING_WORDS;
      };
      const { gfns, captures, holdings, order } = this.#ofVm(vm);
      const table = tables.get(vm)!;
      let from = NOT_HERE;
      for (let i = 0; i < order.length; i += 1) {
        const row = order[i]!;
        const gfn = gfns[row]!;
        if (gfn >= table.length) continue;
        if (i === 0 || gfns[order[i - 1]!] !== gfn) from = NOT_HERE;
        const old = table[gfn]!;
        const next = holdings[row]!;
        const capture = captures[row]!;
        if (old !== next) {
          if (isContent(old)) put(old, { gfn, from, to: capture });
          from = capture;
          table[gfn] = next;
        }
        const isLast = i + 1 === order.length || gfns[order[i + 1]!] !== gfn;
        if (isLast && from !== NOT_HERE && isContent(next)) put(next, { gfn, from, to: NOT_HERE });
      }
    }
    return sortedByFirst(words.subarray(0, to), HOLDING_WORDS);
  }

  /** Sorted records of identifiers. */
  identifierRecords(): Records {
    const length = this.#identifiers.reduce((sum, records) => sum + records.length, 0);
    const words = new Uint32Array(length);
    let at = 0;
    for (const records of this.#identifiers) {
      words.set(records, at);
      at += records.length;
    }
    const bySecond = sortedBy(words, { width: IDENTIFIER_WORDS, by: 1 });
    return sortedByFirst(bySecond.words, IDENTIFIER_WORDS);
  }
}

/** Records ordered by one of their words; stable. */
function sortedBy(records: Uint32Array, { width, by }: { width: number; by: number }): Records {
  const count = records.length / width;
  const keys = new Uint32Array(count);
  for (let row = 0; row < count; row += 1) keys[row] = records[row * width + by]!;
  const words = new Uint32Array(records.length);
  let to = 0;
  const order = orderedBy(keys, rowsInOrder(count));
  for (let i = 0; i < count; i += 1) {
    const at = order[i]! * width;
    for (let word = 0; word < width; word += 1) words[to + word] = records[at + word]!;
    to += width;
  }
  return { words, count };
}

const sortedByFirst = (records: Uint32Array, width: number): Records =>
  sortedBy(records, { width, by: 0 });
