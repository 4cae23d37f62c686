// A page table, and the one fold of page events into it: what every page of a VM holds, a 32-bit
// holding a page. Whoever has the batches of a capture comes here: images and points, the page tables
// where the fold stands, walks over the history. What was lost of a capture wipes the table first.

import {
  KIND_MASK,
  KIND_PATTERN,
  KIND_ZERO,
  type PageColumns,
} from '../domain/events/pages-written.ts';
import { FIRST_CONTENT, UNKNOWN, ZERO, type Holding } from '../domain/values/holding.ts';
import { rowsOf } from './commits.ts';
import type { Contents, KnownPack } from './models/contents.ts';

export type PageTable = Uint32Array;

/** What a row of a pattern holds; UNKNOWN where its pack is not known. */
function patternOf(
  contents: Contents,
  packs: readonly (KnownPack | undefined)[],
  { index, slot }: { readonly index: number; readonly slot: number },
): Holding {
  if (index === packs.length) return slot > ZERO && slot < FIRST_CONTENT ? slot : UNKNOWN;
  const pack = packs[index];
  return pack === undefined || slot < pack.pages ? UNKNOWN : contents.holdingOf(pack, slot);
}

/**
 * What the rows of a batch were recorded to hold, in row order, whoever stored the same before; UNKNOWN
 * where a pack is not known. O(rows). With a room they lie in it, valid until its next use.
 */
export function recordedHoldingsOf(
  contents: Contents,
  columns: PageColumns,
  room?: Uint32Array,
): Uint32Array {
  const { kinds, packIndexes, slots } = columns;
  const packs: (KnownPack | undefined)[] = columns.packs.map((name) => contents.byName(name));
  const bases = new Uint32Array(packs.map((pack) => FIRST_CONTENT + (pack?.firstContent ?? 0)));
  const limits = new Uint32Array(packs.map((pack) => pack?.pages ?? 0));
  const holdings = room?.subarray(0, kinds.length) ?? new Uint32Array(kinds.length);
  for (let row = 0; row < kinds.length; row += 1) {
    const outcome = kinds[row]! & KIND_MASK;
    if (outcome === KIND_ZERO) holdings[row] = ZERO;
    else {
      const index = packIndexes[row]!;
      const slot = slots[row]!;
      if (outcome === KIND_PATTERN) holdings[row] = patternOf(contents, packs, { index, slot });
      else holdings[row] = slot >= limits[index]! ? UNKNOWN : bases[index]! + slot;
    }
  }
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
export function holdingsOf(
  contents: Contents,
  columns: PageColumns,
  room?: Uint32Array,
): Uint32Array {
  return takeFirsts(contents, recordedHoldingsOf(contents, columns, room));
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
export function applyColumns(table: PageTable, columns: PageColumns, holdings: Uint32Array): void {
  const { gfns } = columns;
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
  for (const columns of batches) applyColumns(table, columns, holdingsOf(contents, columns));
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
