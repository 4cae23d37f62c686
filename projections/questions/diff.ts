// The pages that differ between two points. Inside a sharing group equal
// pages have equal numbers, or, where one of them is held large, equal identifiers, so two tables are
// compared and no page is read. Pages that are unknown at either point are none that differ: they are
// told apart. Contents of different
// groups, and patterns of different VMs, are compared by their bytes. Cost: O(pages of the two tables),
// and each block once a window of those pages that bytes are needed of. Memory: the two tables, and
// two windows of pages.

import { PAGE_BYTES } from '../../domain/values/page.ts';
import {
  isContent,
  isKeptPattern,
  UNKNOWN,
  UNTOLD,
  ZERO,
  type Holding,
} from '../../domain/values/holding.ts';
import type { PageReader } from '../../domain/use-cases/pages/page-reader.ts';
import type { PageTable } from '../table.ts';
import { differingRanges, type ByteRange } from './byte-ranges.ts';

/** Differences found before pages are read for them (16 MiB of pages on each side). */
const WINDOW_PAGES = 4096;

/** One side: what the pages hold, and where equal pages have equal numbers. */
export interface DiffSide {
  readonly table: PageTable;
  /** Whose patterns they are. */
  readonly vm: string;
  /** Null: equal pages may have different numbers, as nothing is linked there. */
  readonly group: string | null;
}

/** Pages from the first one on, up to the last, included. */
export interface PageRange {
  readonly first: number;
  readonly last: number;
}

export interface DiffRequest {
  readonly a: DiffSide;
  readonly b: DiffSide;
  /** Whether patterns were added to the grammar: what was a content before may be a pattern since. */
  readonly isGrammarWidened: boolean;
  readonly withBytes: boolean;
  /** Whether pages can be read; else what only their bytes would tell apart counts as differing. */
  readonly hasPages: boolean;
  /** Whether contents of different numbers are equal by their identifiers; absent: in a group none are. */
  readonly areEqual?: (before: Holding, after: Holding) => boolean;
  /** Only these pages; absent: all. */
  readonly gfns?: PageRange;
  /** Is told of each page of which no source told what it held at either point, ascending. */
  readonly onUnknown?: (gfn: number) => void;
}

/** A page that differs between two points, and in which bytes. */
export interface PageDifference {
  readonly gfn: number;
  /** What the page holds on either side; UNKNOWN where that side has no such page. */
  readonly before: Holding;
  readonly after: Holding;
  /** Where bytes were asked for; null: they were not, or a side is forgotten. */
  readonly ranges: readonly ByteRange[] | null;
}

/** On which side a page that differs is not there, since the VM had fewer pages; null: it is on both. */
export function absentFrom({ before, after }: PageDifference): 'before' | 'after' | null {
  if (before === UNKNOWN) return 'before';
  return after === UNKNOWN ? 'after' : null;
}

/** Whether two different numbers may stand for equal pages. */
function mayBeEqual(
  { before, after }: { readonly before: Holding; readonly after: Holding },
  { a, b, isGrammarWidened }: DiffRequest,
): boolean {
  // A side that has no such page has none that is equal; zeros are always known for what they are.
  if ([before, after].some((holding) => holding === UNKNOWN || holding === ZERO)) return false;
  if (isContent(before) && isContent(after)) return a.group === null || a.group !== b.group;
  const isOneVm = a.vm === b.vm;
  if (isKeptPattern(before) && isKeptPattern(after)) return !isOneVm || isGrammarWidened;
  return isGrammarWidened;
}

interface Candidate {
  readonly gfn: number;
  readonly before: Holding;
  readonly after: Holding;
  readonly isCompared: boolean;
}

/** Pages whose numbers differ, ascending. */
function* candidates(request: DiffRequest): Generator<Candidate> {
  const { a, b, gfns = { first: 0, last: Infinity }, onUnknown } = request;
  const end = Math.min(Math.max(a.table.length, b.table.length), gfns.last + 1);
  for (let gfn = gfns.first; gfn < end; gfn += 1) {
    const before = a.table[gfn] ?? UNKNOWN;
    const after = b.table[gfn] ?? UNKNOWN;
    if (before === UNTOLD || after === UNTOLD) {
      onUnknown?.(gfn);
      continue;
    }
    if (before === after || request.areEqual?.(before, after) === true) continue;
    yield {
      gfn,
      before,
      after,
      isCompared: request.hasPages && mayBeEqual({ before, after }, request),
    };
  }
}

/** What to read for pages of one side; zeros where it has none. */
const readable = (holdings: readonly Holding[]): readonly Holding[] =>
  holdings.map((holding) => (holding === UNKNOWN ? ZERO : holding));

const isSame = (a: Uint8Array, b: Uint8Array): boolean => {
  for (let i = 0; i < a.length; i += 1) if (a[i] !== b[i]) return false;
  return true;
};

/** Room for the pages of both sides of a window, made when it is first needed. */
class Rooms {
  #rooms: readonly [Uint8Array, Uint8Array] | null = null;

  get(): readonly [Uint8Array, Uint8Array] {
    const lengthBytes = WINDOW_PAGES * PAGE_BYTES;
    this.#rooms ??= [new Uint8Array(lengthBytes), new Uint8Array(lengthBytes)];
    return this.#rooms;
  }
}

/** Candidates of a window that differ; bytes are read of those that need it. */
async function settled(
  pages: () => Promise<PageReader>,
  window: readonly Candidate[],
  { rooms, withBytes }: { readonly rooms: Rooms; readonly withBytes: boolean },
): Promise<readonly PageDifference[]> {
  const isRead = ({ isCompared }: Candidate): boolean => withBytes || isCompared;
  const read = window.filter(isRead);
  if (read.length === 0)
    return window.map(({ gfn, before, after }) => ({ gfn, before, after, ranges: null }));
  const reader = await pages();
  const [befores, afters] = rooms.get();
  await reader.read(readable(read.map(({ before }) => before)), befores);
  await reader.read(readable(read.map(({ after }) => after)), afters);
  const differing: PageDifference[] = [];
  let at = 0;
  for (const candidate of window) {
    const { gfn, before, after } = candidate;
    let ranges: readonly ByteRange[] | null = null;
    if (isRead(candidate)) {
      const one = befores.subarray(at, at + PAGE_BYTES);
      const other = afters.subarray(at, at + PAGE_BYTES);
      at += PAGE_BYTES;
      if (candidate.isCompared && isSame(one, other)) continue;
      if (withBytes) ranges = differingRanges(one, other);
    }
    differing.push({ gfn, before, after, ranges });
  }
  return differing;
}

/**
 * Differing pages, ascending, a window of them at a time. Both tables must be whole (assertUndamaged).
 * Where one VM has more pages than the other, those beyond differ, and their other side counts as
 * zeros. Ranges are valid until the next window.
 */
export async function* differences(
  pages: () => Promise<PageReader>,
  request: DiffRequest,
): AsyncGenerator<readonly PageDifference[]> {
  const withBytes = request.withBytes && request.hasPages;
  const rooms = new Rooms();
  let window: Candidate[] = [];
  for (const candidate of candidates(request)) {
    window.push(candidate);
    if (window.length < WINDOW_PAGES) continue;
    yield await settled(pages, window, { rooms, withBytes });
    window = [];
  }
  yield await settled(pages, window, { rooms, withBytes });
}
