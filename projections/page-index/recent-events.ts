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
import { orderedBy } from './radix-order.ts';
import type { Records } from './record-block.ts';
import type { Workspace } from './workspace.ts';

/** Words of a record of a page's version: VM, gfn, capture, what it holds, kind. */
export const VERSION_WORDS = 5;
/** Records handed on at once. */
const RECORDS_TOGETHER = 4096;
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

  /**
   * Sorted records of the versions of pages, in this space: valid until they are asked for again. O(rows).
   */
  versionRecords(space: Workspace): Records {
    const words = space.words('versions', this.rows * VERSION_WORDS);
    let to = 0;
    for (const vm of this.vms()) {
      const own = this.captures.filter((capture) => capture.vm === vm);
      const plain = plainVersions(own, space);
      const order = orderedByWord(plain, { width: VERSION_WORDS, by: 1 }, space);
      gather(plain, order, { width: VERSION_WORDS, to: words.subarray(to) });
      to += plain.length;
    }
    return { words, count: this.rows };
  }

  /**
   * Sorted records of who held which content, out of `versions`, the sorted records of those. `tables`
   * are the VMs' tables just before the first of these events, by number; they become those just after
   * the last one. O(rows).
   */
  holdingRecords(
    versions: Records,
    tables: ReadonlyMap<number, Uint32Array>,
    space: Workspace,
  ): Iterable<Records> {
    // A write ends at most one holding that began before it, and begins at most one.
    const words = space.words('holdings', 2 * versions.count * HOLDING_WORDS);
    let to = 0;
    const put = (content: number, page: PageHolding): void => {
      words[to] = content;
      words[to + 1] = page.vm;
      words[to + 2] = page.gfn;
      words[to + 3] = page.from;
      words[to + 4] = page.to;
      to += HOLDING_WORDS;
    };
    const of = versions.words;
    const end = versions.count * VERSION_WORDS;
    const isSamePage = (at: number, other: number): boolean =>
      other >= 0 && other < end && of[at] === of[other] && of[at + 1] === of[other + 1];
    let from = NOT_HERE;
    for (let at = 0; at < end; at += VERSION_WORDS) {
      const vm = of[at]!;
      const gfn = of[at + 1]!;
      const table = tables.get(vm)!;
      if (gfn >= table.length) continue;
      if (!isSamePage(at, at - VERSION_WORDS)) from = NOT_HERE;
      const old = table[gfn]!;
      const next = of[at + 3]!;
      const capture = of[at + 2]!;
      if (old !== next) {
        if (isContent(old)) put(old, { vm, gfn, from, to: capture });
        from = capture;
        table[gfn] = next;
      }
      const isLast = !isSamePage(at, at + VERSION_WORDS);
      if (isLast && from !== NOT_HERE && isContent(next))
        put(next, { vm, gfn, from, to: NOT_HERE });
    }
    const records = words.subarray(0, to);
    const byContent = { width: HOLDING_WORDS, by: 0 };
    return inOrder(records, orderedByWord(records, byContent, space), HOLDING_WORDS);
  }

  /** Sorted records of identifiers. O(contents). */
  identifierRecords(space: Workspace): Iterable<Records> {
    const length = this.#identifiers.reduce((sum, records) => sum + records.length, 0);
    const words = space.words('identifiers', length);
    let at = 0;
    for (const records of this.#identifiers) {
      words.set(records, at);
      at += records.length;
    }
    const bySecond = orderedByWord(words, { width: IDENTIFIER_WORDS, by: 1 }, space);
    const sorted = space.words('identifiers by their second word', length);
    gather(words, bySecond, { width: IDENTIFIER_WORDS, to: sorted });
    const byFirst = { width: IDENTIFIER_WORDS, by: 0 };
    return inOrder(sorted, orderedByWord(sorted, byFirst, space), IDENTIFIER_WORDS);
  }
}

/** Records of the versions of a VM's pages, as they came. */
function plainVersions(own: readonly RecentCapture[], space: Workspace): Uint32Array {
  const rows = own.reduce((sum, { gfns }) => sum + gfns.length, 0);
  const words = space.words('plain', rows * VERSION_WORDS);
  let to = 0;
  for (const { vm, capture, gfns, holdings, kinds } of own)
    for (let row = 0; row < gfns.length; row += 1) {
      words[to] = vm;
      words[to + 1] = gfns[row]!;
      words[to + 2] = capture;
      words[to + 3] = holdings[row]!;
      words[to + 4] = kinds[row]!;
      to += VERSION_WORDS;
    }
  return words;
}

/** Rows of records ordered by one of their words; as orderedBy. */
function orderedByWord(
  records: Uint32Array,
  { width, by }: { readonly width: number; readonly by: number },
  space: Workspace,
): Uint32Array {
  const keys = space.words('keys', records.length / width);
  for (let row = 0; row < keys.length; row += 1) keys[row] = records[row * width + by]!;
  return orderedBy(keys, space);
}

/** Puts records there in the order of these rows. */
function gather(
  records: Uint32Array,
  order: Uint32Array,
  { width, to }: { readonly width: number; readonly to: Uint32Array },
): void {
  let end = 0;
  for (let i = 0; i < order.length; i += 1) {
    const at = order[i]! * width;
    for (let word = 0; word < width; word += 1) to[end + word] = records[at + word]!;
    end += width;
  }
}

/** Records in the order of these rows, some at a time: valid until the next are asked for. */
function* inOrder(
  records: Uint32Array,
  order: Uint32Array,
  width: number,
): Generator<Records, void, undefined> {
  const words = new Uint32Array(RECORDS_TOGETHER * width);
  for (let first = 0; first < order.length; first += RECORDS_TOGETHER) {
    const rows = order.subarray(first, first + RECORDS_TOGETHER);
    gather(records, rows, { width, to: words });
    yield { words, count: rows.length };
  }
}
