// Preemptive merging (brief, 3.1; after IBM's US9471363): before a page is stored, its identifier is
// looked up among those of all pages stored now. Found: a link. Not found: page and identifier are
// stored. A page that a pattern describes is neither stored nor looked up.
//
// Two deciders of one rule. `decidePageWrite` decides one write and is the oracle; `decideWrites`
// decides a whole batch of columns in place. A test holds them equal.
//
// Invariants: written = stored + merged + pattern; in one group no two stored pages are equal;
// SharingBroken only where the old content had another holder just before the write, in gfn order.

import * as either from 'fp-ts/lib/Either.js';
import type { Either } from 'fp-ts/lib/Either.js';
import { isContent, ZERO, type Holding } from './values/holding.ts';
import { assert } from './values/assert.ts';
import { CLASS_NONE } from './ports/page-engine.ts';
import {
  KIND_BROKE,
  KIND_MERGED,
  KIND_STORED,
  KIND_ZERO,
  patternKind,
} from './events/pages-written.ts';
import type { Refusal } from './values/refusals.ts';

// ---- one page at a time: the rule in words -------------------------------------------------------

export type PageEvent =
  | { readonly type: 'PageStored'; readonly gfn: number; readonly identifier: string }
  | {
      readonly type: 'PageMerged';
      readonly gfn: number;
      readonly identifier: string;
      readonly scope: 'intra' | 'inter';
    }
  | { readonly type: 'PatternPageShared'; readonly gfn: number; readonly pattern: number }
  | { readonly type: 'SharingBroken'; readonly gfn: number; readonly identifier: string };

export interface WritePage {
  readonly vm: string;
  readonly gfn: number;
  /** CLASS_NONE, or the class of the pattern that describes the page. */
  readonly patternClass: number;
  /** Hex; unused for a pattern page. */
  readonly identifier: string;
}

/** All VMs of a group, page by page: what each page holds, and who first stored each content. */
export interface PagesState {
  readonly pageCount: number;
  /** `vm/gfn` -> identifier, or `pattern:N`. */
  readonly pages: ReadonlyMap<string, string>;
  /** identifier -> the VM that stored it. */
  readonly contents: ReadonlyMap<string, string>;
}

const patternText = (patternClass: number): string => `pattern:${patternClass}`;

function holders(state: PagesState, held: string): number {
  let count = 0;
  for (const other of state.pages.values()) if (other === held) count += 1;
  return count;
}

/** The events of one page write; none where the content is what the page holds already. */
export const decidePageWrite =
  (state: PagesState) =>
  (write: WritePage): Either<Refusal, readonly PageEvent[]> => {
    const { vm, gfn, patternClass } = write;
    if (gfn >= state.pageCount)
      return either.left({ _tag: 'GfnOutOfRange', vm, gfn, pages: state.pageCount });
    const isOfPattern = patternClass !== CLASS_NONE;
    const next = isOfPattern ? patternText(patternClass) : write.identifier;
    const old = state.pages.get(`${vm}/${gfn}`);
    if (old === next) return either.right([]);
    const events: PageEvent[] = [];
    const { identifier } = write;
    const holder = state.contents.get(identifier);
    if (isOfPattern) events.push({ type: 'PatternPageShared', gfn, pattern: patternClass });
    else if (holder === undefined) events.push({ type: 'PageStored', gfn, identifier });
    else
      events.push({
        type: 'PageMerged',
        gfn,
        identifier,
        scope: holder === vm ? 'intra' : 'inter',
      });
    if (old !== undefined && !old.startsWith('pattern:') && holders(state, old) > 1)
      events.push({ type: 'SharingBroken', gfn, identifier: old });
    return either.right(events);
  };

/** The pages after an event of a VM. */
export function evolvePages(state: PagesState, vm: string, event: PageEvent): PagesState {
  if (event.type === 'SharingBroken') return state;
  const held = event.type === 'PatternPageShared' ? patternText(event.pattern) : event.identifier;
  const pages = new Map(state.pages).set(`${vm}/${event.gfn}`, held);
  const contents =
    event.type === 'PageStored' ? new Map(state.contents).set(held, vm) : state.contents;
  return { ...state, pages, contents };
}

// ---- a batch of columns: the rule in place -------------------------------------------------------

/** The sharing state as a recorder sees it: what is committed, and its own capture so far. */
export interface WritesView {
  /**
   * The content that a page written to `gfn` may share: the one with the identifier in this row of
   * the column, or -1.
   */
  find(identifiers: Uint8Array, row: number, gfn: number): Holding;
  /** What a page of the VM holds now. */
  held(gfn: number): Holding;
  /** Pages of all VMs that hold a content now. */
  holders(content: Holding): number;
  /** Takes a new content in: from now on `find` finds it. */
  store(identifiers: Uint8Array, row: number): Holding;
  /** The VM's page holds this from now on; counts of holders follow. */
  hold(gfn: number, holding: Holding): void;
}

export interface WriteColumns {
  readonly gfns: Uint32Array;
  readonly classes: Uint8Array;
  readonly identifiers: Uint8Array;
  /** What a row of a pattern's class holds: ZERO, or the pattern's number. */
  readonly patterns: Uint32Array;
}

/** Rows that are events, gfns ascending. `rows` are row numbers of the columns decided on. */
export interface DecidedWrites {
  readonly count: number;
  readonly rows: Uint32Array;
  readonly kinds: Uint8Array;
  readonly holdings: Uint32Array;
  /** Row numbers of the pages to store, ascending, and what each page held before. */
  readonly storeRows: Uint32Array;
  readonly storeOver: Uint32Array;
  readonly merged: number;
  readonly pattern: number;
  readonly unchanged: number;
}

/** Decides a batch of candidates in gfn order and takes the outcome into the view. O(rows). */
export function decideWrites(view: WritesView, columns: WriteColumns): DecidedWrites {
  const { gfns, classes, identifiers, patterns } = columns;
  const total = gfns.length;
  const rows = new Uint32Array(total);
  const kinds = new Uint8Array(total);
  const holdings = new Uint32Array(total);
  const storeRows = new Uint32Array(total);
  const storeOver = new Uint32Array(total);
  let count = 0;
  let stored = 0;
  let pattern = 0;
  for (let row = 0; row < total; row += 1) {
    const gfn = gfns[row]!;
    const old = view.held(gfn);
    const patternClass = classes[row]!;
    const isOfPattern = patternClass !== CLASS_NONE;
    let next = isOfPattern ? patterns[row]! : view.find(identifiers, row, gfn);
    if (next === old) continue;
    let kind = KIND_MERGED;
    if (isOfPattern) {
      kind = next === ZERO ? KIND_ZERO : patternKind(patternClass);
      pattern += 1;
    } else if (next < 0) {
      next = view.store(identifiers, row);
      storeRows[stored] = row;
      storeOver[stored] = old;
      stored += 1;
      kind = KIND_STORED;
    }
    if (isContent(old) && view.holders(old) > 1) kind |= KIND_BROKE;
    view.hold(gfn, next);
    rows[count] = row;
    kinds[count] = kind;
    holdings[count] = next;
    count += 1;
  }
  assert(count >= stored + pattern, 'every stored or pattern page is an event');
  return {
    count,
    rows: rows.subarray(0, count),
    kinds: kinds.subarray(0, count),
    holdings: holdings.subarray(0, count),
    storeRows: storeRows.subarray(0, stored),
    storeOver: storeOver.subarray(0, stored),
    merged: count - stored - pattern,
    pattern,
    unchanged: total - count,
  };
}
