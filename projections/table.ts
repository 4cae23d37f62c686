// A page table, and the one fold of page events into it: what every page of a VM holds, a 32-bit
// holding a page. Whoever has the batches of a capture comes here: images and points, the page tables
// where the fold stands, walks over the history. What was lost of a capture wipes the table first.

import * as either from 'fp-ts/lib/Either.js';
import {
  decodePageColumns,
  KIND_MASK,
  KIND_PATTERN,
  KIND_ZERO,
  type PageColumns,
} from '../domain/events/pages-written.ts';
import {
  FIRST_CONTENT,
  PATTERN_BASE,
  UNKNOWN,
  ZERO,
  type Holding,
} from '../domain/values/holding.ts';
import { rowsOf } from './commits.ts';
import {
  PACK_WORDS,
  SPAN_COUNT,
  SPAN_FIRST,
  SPAN_WORDS,
  type PageWrites,
  type SpansOf,
} from '../domain/ports/page-writes.ts';
import type { Contents } from './models/contents.ts';

export type PageTable = Uint32Array;

/** What slots of a batch's packs hold, as numbered packs and public patterns say; none of one that is not known. */
export function spansOf(contents: Contents, names: readonly string[]): Int32Array {
  const spans = new Int32Array((names.length + 1) * PACK_WORDS);
  for (const [index, name] of names.entries()) {
    const pack = contents.byName(name);
    if (pack === undefined) continue;
    const { pages, patterns, firstContent, firstPattern } = pack;
    spans.set([FIRST_CONTENT + firstContent, 0, pages], index * PACK_WORDS);
    const ofPatterns = [PATTERN_BASE + firstPattern - pages, pages, patterns];
    spans.set(ofPatterns, index * PACK_WORDS + SPAN_WORDS);
  }
  spans.set([0, ZERO + 1, FIRST_CONTENT - 1], names.length * PACK_WORDS + SPAN_WORDS);
  return spans;
}

/** What the rows of a batch hold, as these spans tell of its packs. */
function holdingsIn(spans: Int32Array, columns: PageColumns): Uint32Array {
  const { kinds, packIndexes, slots } = columns;
  const holdings = new Uint32Array(kinds.length);
  // As signed numbers: those past 2^31 would leave the machine's integers, and take twice as long.
  const signed = new Int32Array(holdings.buffer);
  for (let row = 0; row < kinds.length; row += 1) {
    const outcome = kinds[row]! & KIND_MASK;
    if (outcome === KIND_ZERO) signed[row] = ZERO;
    else {
      const span = packIndexes[row]! * PACK_WORDS + (outcome === KIND_PATTERN ? SPAN_WORDS : 0);
      const slot = slots[row]!;
      const past = slot - spans[span + SPAN_FIRST]!;
      signed[row] = past >= 0 && past < spans[span + SPAN_COUNT]! ? (spans[span]! + slot) | 0 : -1;
    }
  }
  return holdings;
}

/** What an event's page events wrote, read without a kernel. */
export function readPlainly(
  event: { readonly schema: number; readonly data: Uint8Array },
  spans: SpansOf,
): PageWrites | null {
  const decoded = decodePageColumns(event);
  if (either.isLeft(decoded)) return null;
  const { gfns, packs } = decoded.right;
  return { gfns, holdings: holdingsIn(spans(packs), decoded.right) };
}

/** Patterns that stand for those that rows were recorded to hold, in place. */
function takeFirstPatterns(contents: Contents, kinds: Uint8Array, holdings: Uint32Array): void {
  for (let row = 0; row < kinds.length; row += 1)
    if ((kinds[row]! & KIND_MASK) === KIND_PATTERN)
      holdings[row] = contents.firstOf(holdings[row]!);
}

/**
 * What the rows of a batch were recorded to hold, in row order, whoever stored the same before; UNKNOWN
 * where a pack is not known. O(rows).
 */
export function recordedHoldingsOf(contents: Contents, columns: PageColumns): Uint32Array {
  const holdings = holdingsIn(spansOf(contents, columns.packs), columns);
  if (contents.patternAliases.size > 0) takeFirstPatterns(contents, columns.kinds, holdings);
  return holdings;
}

/** The first of equal contents for each holding, in place. */
export function takeFirsts(contents: Contents, holdings: Uint32Array): Uint32Array {
  if (contents.hasAliases)
    for (let row = 0; row < holdings.length; row += 1)
      holdings[row] = contents.firstOf(holdings[row]!);
  return holdings;
}

/** What the rows of a batch hold: of equal contents the first. Otherwise as recordedHoldingsOf. */
export function holdingsOf(contents: Contents, columns: PageColumns): Uint32Array {
  return takeFirsts(contents, recordedHoldingsOf(contents, columns));
}

/** What the rows of several batches hold, one after the other. */
export function allHoldingsOf(contents: Contents, batches: readonly PageColumns[]): Uint32Array {
  const holdings = new Uint32Array(rowsOf({ batches }));
  let at = 0;
  for (const columns of batches) {
    holdings.set(holdingsOf(contents, columns), at);
    at += columns.kinds.length;
  }
  return holdings;
}

/** The table of so many pages of which nothing is known yet. */
export const unknownTable = (pages: number): PageTable => new Uint32Array(pages).fill(UNKNOWN);

/** A table with room for so many pages: itself, or one with unknown pages at the end. */
export function grownTable(table: PageTable, pages: number): PageTable {
  if (pages <= table.length) return table;
  const grown = unknownTable(pages);
  grown.set(table);
  return grown;
}

/** Writes a batch into a table; rows beyond it are of a damaged event and are passed over. */
export function applyPageWrites(table: PageTable, { gfns, holdings }: PageWrites): void {
  for (let row = 0; row < gfns.length; row += 1) {
    const gfn = gfns[row]!;
    if (gfn < table.length) table[gfn] = holdings[row]!;
  }
}

/** What a capture wrote, as far as it is known. */
export interface TableWrites {
  readonly batches: Iterable<PageColumns>;
  /** Events of the capture, or of those before it, are lost: what pages held then is not known. */
  readonly isWiped: boolean;
}

/** Writes a capture into a table. */
export function applyWrites(
  table: PageTable,
  contents: Contents,
  { batches, isWiped }: TableWrites,
): void {
  if (isWiped) table.fill(UNKNOWN);
  for (const columns of batches)
    applyPageWrites(table, { gfns: columns.gfns, holdings: holdingsOf(contents, columns) });
}

/** As applyWrites, and tells of each page that holds something else then. */
export function applyTold(
  table: PageTable,
  contents: Contents,
  { batches, isWiped }: TableWrites,
  changed: (gfn: number, old: Holding, next: Holding) => void,
): void {
  const set = (gfn: number, next: Holding): void => {
    const old = table[gfn]!;
    table[gfn] = next;
    if (old !== next) changed(gfn, old, next);
  };
  if (isWiped) for (let gfn = 0; gfn < table.length; gfn += 1) set(gfn, UNKNOWN);
  for (const columns of batches) {
    const holdings = holdingsOf(contents, columns);
    for (let row = 0; row < holdings.length; row += 1) {
      const gfn = columns.gfns[row]!;
      if (gfn < table.length) set(gfn, holdings[row]!);
    }
  }
}
