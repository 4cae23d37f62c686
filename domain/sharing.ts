// Preemptive merging (after IBM's US9471363): before a page is stored, its identifier is
// looked up among those of all pages stored now. Found: a link. Not found: page and identifier are
// stored. A page that a pattern describes is neither stored nor looked up, nor is one of which the
// source does not tell what it held: it is unknown from then on, whatever it held before.
//
// One rule in three forms. `decidePageWrite` decides one write, in words, and is the oracle.
// `decideWrites` decides a whole batch of columns as a recorder sees it. Others may have written too by
// the time it is committed, so what the batch means is decided once more when it is folded, in log
// order: `foldWrites`. Tests hold both against the oracle.
//
// A region of 2 MiB that is held large is out of all this: what is written to its pages is stored, whatever
// equals it, and nobody links to it (decision 0011).
//
// Invariants: written = stored + merged + pattern + unknown; in one group no two pages that are stored
// small are equal;
// SharingBroken only where the old content had another holder just before the write, in gfn order.

import * as either from 'fp-ts/lib/Either.js';
import type { Either } from 'fp-ts/lib/Either.js';
import { FIRST_CONTENT, isContent, UNTOLD, ZERO, type Holding } from './values/holding.ts';
import { assert } from './values/assert.ts';
import type { Gfn } from './values/page.ts';
import { CLASS_NONE, CLASS_UNTOLD } from './ports/page-engine.ts';
import {
  KIND_BROKE,
  KIND_MERGED,
  KIND_STORED,
  KIND_UNTOLD,
  KIND_ZERO,
  patternKind,
} from './events/pages-written.ts';
import type { Refusal } from './values/refusals.ts';

// ---- one page at a time: the rule in words -------------------------------------------------------

export type PageEvent =
  | {
      readonly type: 'PageStored';
      readonly gfn: number;
      readonly identifier: string;
      /** As a part of what is held large: nobody links to it. Absent: it is held small. */
      readonly isLarge?: true;
    }
  | {
      readonly type: 'PageMerged';
      readonly gfn: number;
      readonly identifier: string;
      readonly scope: 'intra' | 'inter';
    }
  | {
      readonly type: 'PatternPageShared';
      readonly gfn: number;
      readonly pattern: number;
      readonly identifier: string;
    }
  | { readonly type: 'PageUnknown'; readonly gfn: number }
  | { readonly type: 'SharingBroken'; readonly gfn: number; readonly identifier: string };

export interface WritePage {
  readonly vm: string;
  readonly gfn: number;
  /** CLASS_NONE, the class of the pattern that describes the page, or CLASS_UNTOLD. */
  readonly patternClass: number;
  /** Hex: of the page, or of the descriptor of its pattern; of a page that is unknown it says nothing. */
  readonly identifier: string;
  /** Whether its region is to be held large; absent: it is not. */
  readonly isLarge?: boolean;
}

/** All VMs of a group, page by page: what each page holds, and who first stored each content. */
export interface PagesState {
  readonly pageCount: number;
  /** `vm/gfn` -> identifier, `pattern:CLASS:IDENTIFIER`, `large:VM/GFN:IDENTIFIER`, or `unknown`. */
  readonly pages: ReadonlyMap<string, string>;
  /** identifier -> the VM that stored it. */
  readonly contents: ReadonlyMap<string, string>;
}

const patternText = (patternClass: number, identifier: string): string =>
  `pattern:${patternClass}:${identifier}`;
const UNKNOWN_TEXT = 'unknown';

/** Whether what a page holds, as text, is a content. */
const isContentText = (held: string): boolean =>
  held !== UNKNOWN_TEXT && !held.startsWith('pattern:');

function nextText({ patternClass, identifier }: WritePage): string {
  if (patternClass === CLASS_UNTOLD) return UNKNOWN_TEXT;
  return patternClass === CLASS_NONE ? identifier : patternText(patternClass, identifier);
}

/** What is held large is a content of its own, of that page. */
const largeText = ({ vm, gfn, identifier }: Omit<WritePage, 'patternClass'>): string =>
  `large:${vm}/${gfn}:${identifier}`;

function holdersOf(state: PagesState, held: string): number {
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
    const { identifier } = write;
    const isLarge = write.isLarge === true && patternClass === CLASS_NONE;
    const next = isLarge ? largeText(write) : nextText(write);
    const old = state.pages.get(`${vm}/${gfn}`);
    if (old === next) return either.right([]);
    const events: PageEvent[] = [];
    const holder = state.contents.get(identifier);
    if (patternClass === CLASS_UNTOLD) events.push({ type: 'PageUnknown', gfn });
    else if (patternClass !== CLASS_NONE)
      events.push({ type: 'PatternPageShared', gfn, pattern: patternClass, identifier });
    else if (isLarge) events.push({ type: 'PageStored', gfn, identifier, isLarge });
    else if (holder === undefined) events.push({ type: 'PageStored', gfn, identifier });
    else
      events.push({
        type: 'PageMerged',
        gfn,
        identifier,
        scope: holder === vm ? 'intra' : 'inter',
      });
    if (old !== undefined && isContentText(old) && holdersOf(state, old) > 1)
      events.push({ type: 'SharingBroken', gfn, identifier: old });
    return either.right(events);
  };

/** The pages after an event of a VM. */
export function evolvePages(state: PagesState, vm: string, event: PageEvent): PagesState {
  const holding = (held: string): PagesState => ({
    ...state,
    pages: new Map(state.pages).set(`${vm}/${event.gfn}`, held),
  });
  switch (event.type) {
    case 'PageStored': {
      const { identifier, gfn } = event;
      if (event.isLarge === true) return holding(largeText({ vm, gfn, identifier }));
      return { ...holding(identifier), contents: new Map(state.contents).set(identifier, vm) };
    }
    case 'PageMerged':
      return holding(event.identifier);
    case 'PatternPageShared':
      return holding(patternText(event.pattern, event.identifier));
    case 'PageUnknown':
      return holding(UNKNOWN_TEXT);
    case 'SharingBroken':
      return state;
    default:
      return event satisfies never;
  }
}

// ---- a batch of columns: the rule in place -------------------------------------------------------

/** The sharing state as a recorder sees it: what is committed, and its own capture so far. */
export interface WritesView {
  /**
   * The content that a page written to `gfn` may share: the one with the identifier in this row of
   * the column, or -1.
   */
  find(identifiers: Uint8Array, row: number, gfn: Gfn): Holding;
  /** What a page of the VM holds now. */
  held(gfn: Gfn): Holding;
  /** Pages of all VMs that hold a content now. */
  holders(content: Holding): number;
  /** Takes a new content in: from now on `find` finds it, unless the page is held large. */
  store(identifiers: Uint8Array, row: number, gfn: Gfn): Holding;
  /** The VM's page holds this from now on; counts of holders follow. */
  hold(gfn: Gfn, holding: Holding): void;
}

export interface WriteColumns {
  readonly gfns: Uint32Array;
  readonly classes: Uint8Array;
  readonly identifiers: Uint8Array;
  /** What a row of a pattern's class holds: ZERO, or the pattern's number; UNTOLD; a content where that is known. */
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
  readonly unknown: number;
  readonly unchanged: number;
}

/** The kind of a row that holds no content. */
function kindOf(holding: Holding, patternClass: number): number {
  if (holding === ZERO) return KIND_ZERO;
  return holding === UNTOLD ? KIND_UNTOLD : patternKind(patternClass);
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
  let unknown = 0;
  for (let row = 0; row < total; row += 1) {
    const gfn = gfns[row]!;
    const old = view.held(gfn);
    const patternClass = classes[row]!;
    const isOfPattern = patternClass !== CLASS_NONE;
    let next = isOfPattern ? patterns[row]! : view.find(identifiers, row, gfn);
    if (next === old) continue;
    let kind = KIND_MERGED;
    if (isOfPattern && !isContent(next)) {
      kind = kindOf(next, patternClass);
      if (next === UNTOLD) unknown += 1;
      else pattern += 1;
    } else if (next < 0) {
      next = view.store(identifiers, row, gfn);
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
  assert(count >= stored + pattern + unknown, 'every page that is no link is an event');
  return {
    count,
    rows: rows.subarray(0, count),
    kinds: kinds.subarray(0, count),
    holdings: holdings.subarray(0, count),
    storeRows: storeRows.subarray(0, stored),
    storeOver: storeOver.subarray(0, stored),
    merged: count - stored - pattern - unknown,
    pattern,
    unknown,
    unchanged: total - count,
  };
}

// ---- a recorded batch in log order: the rule has the last word -----------------------------------

/** What pages hold just before a batch is folded: taken on by it. */
export interface HeldPages {
  /** What every page of the VM holds. */
  readonly table: Uint32Array;
  /** Pages of all VMs that hold a content, by content. */
  readonly holders: Uint32Array;
}

export interface RecordedWrites {
  readonly gfns: Uint32Array;
  readonly kinds: Uint8Array;
  /** What each page holds from now on: of equal contents the first in log order. */
  readonly holdings: Uint32Array;
  /** What it would hold, had nobody stored the same before. */
  readonly recorded: Uint32Array;
}

/** What a recorded batch means once others have written too. */
export interface FoldedWrites {
  /** By row: stored, merged or of a pattern, and whether a sharing was broken. */
  readonly kinds: Uint8Array;
  /** Stores that another recorder's store came before: they are merges. */
  readonly overridden: number;
  /** Rows that broke a sharing. */
  readonly broken: number;
  /** Rows whose breaking of a sharing the recorder saw otherwise. */
  readonly toggled: number;
}

/**
 * Folds a recorded batch into the pages. A store of what was stored before, in log order, is a merge; a
 * sharing is broken where the old content had another holder just before the row. Rows beyond the VM's
 * pages are of a damaged event and are passed over. O(rows).
 */
export function foldWrites({ table, holders }: HeldPages, writes: RecordedWrites): FoldedWrites {
  const { gfns, holdings, recorded } = writes;
  const kinds = new Uint8Array(gfns.length);
  let overridden = 0;
  let broken = 0;
  let toggled = 0;
  for (let row = 0; row < gfns.length; row += 1) {
    const was = writes.kinds[row]!;
    kinds[row] = was;
    const gfn = gfns[row]!;
    if (gfn >= table.length) continue;
    const old = table[gfn]!;
    const next = holdings[row]!;
    let kind = was & ~KIND_BROKE;
    // A later number stands for a content that was released and is used again: that was stored.
    if (kind === KIND_STORED && next < recorded[row]! && isContent(next)) {
      kind = KIND_MERGED;
      overridden += 1;
    }
    if (isContent(old)) {
      if (old !== next && holders[old - FIRST_CONTENT]! > 1) {
        kind |= KIND_BROKE;
        broken += 1;
      }
      holders[old - FIRST_CONTENT]! -= 1;
    }
    if (isContent(next)) holders[next - FIRST_CONTENT]! += 1;
    table[gfn] = next;
    if (((was ^ kind) & KIND_BROKE) !== 0) toggled += 1;
    kinds[row] = kind;
  }
  return { kinds, overridden, broken, toggled };
}
