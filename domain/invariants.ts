// What always holds of a ledger's state, as predicates over plain values: product code asserts them
// before it writes, and takes what it reads and does not hold them for unfit or damaged; tests and
// simulations ask the same questions of whole ledgers. None of them throws, whatever it is given.

import { FIRST_CONTENT, isContent, PATTERN_BASE, UNKNOWN } from './values/holding.ts';

/** Every page event is counted as one of four. */
export const areWritesCounted = (of: {
  readonly written: number;
  readonly stored: number;
  readonly merged: number;
  readonly pattern: number;
  readonly unknown: number;
}): boolean => of.written === of.stored + of.merged + of.pattern + of.unknown;

/** Every page of a VM, or of all, is counted as one of five, or as unknown where that is lost, or was never told. */
export const arePagesCounted = (of: {
  readonly pages: number;
  readonly zero: number;
  readonly pattern: number;
  readonly unique: number;
  readonly mergedIntra: number;
  readonly mergedInter: number;
  readonly unknown?: number;
}): boolean =>
  of.pages ===
  of.zero + of.pattern + of.unique + of.mergedIntra + of.mergedInter + (of.unknown ?? 0);

/** Each is greater than the one before it. O(values). */
export function ascends(values: ArrayLike<number> | ArrayLike<bigint>): boolean {
  for (let i = 1; i < values.length; i += 1) if (values[i]! <= values[i - 1]!) return false;
  return true;
}

/**
 * Whether batches of a capture, in their order, name each page at most once. Inside a batch gfns ascend
 * by the way they are encoded. O(batches).
 */
export function areCapturedOnce(batches: Iterable<{ readonly gfns: Uint32Array }>): boolean {
  let last = -1;
  for (const { gfns } of batches) {
    if (gfns.length === 0) continue;
    if (gfns[0]! <= last) return false;
    last = gfns.at(-1)!;
  }
  return true;
}

/** How many contents and kept patterns have numbers. */
export interface Numbered {
  readonly contents: number;
  readonly patterns: number;
}

/** Whether all that pages hold has a number, or is not known. O(pages). */
export function areNumbered(table: Uint32Array, { contents, patterns }: Numbered): boolean {
  const contentsEnd = FIRST_CONTENT + contents;
  const patternsEnd = PATTERN_BASE + patterns;
  // By index: a table may be of a guest of many gigabytes, and an iterator takes four times as long.
  for (let page = 0; page < table.length; page += 1) {
    const holding = table[page]!;
    const isKnown = holding < PATTERN_BASE ? holding < contentsEnd : holding < patternsEnd;
    if (!isKnown && holding !== UNKNOWN) return false;
  }
  return true;
}

/** Whether packs give their contents and patterns numbers without gaps, in their order. O(packs). */
export function areDense(
  packs: Iterable<{
    readonly firstContent: number;
    readonly pages: number;
    readonly firstPattern: number;
    readonly patterns: number;
  }>,
  numbered: Numbered,
  from: Numbered = { contents: 0, patterns: 0 },
): boolean {
  let { contents, patterns } = from;
  for (const pack of packs) {
    if (pack.firstContent !== contents || pack.firstPattern !== patterns) return false;
    contents += pack.pages;
    patterns += pack.patterns;
  }
  return contents === numbered.contents && patterns === numbered.patterns;
}

/** The first of these that equals one before it: of a group's stored pages none does. O(values). */
export function repeatedIn(identifiers: Iterable<string>): string | null {
  const met = new Set<string>();
  for (const identifier of identifiers) {
    if (met.has(identifier)) return identifier;
    met.add(identifier);
  }
  return null;
}

/** The first content whose number of holders is not that of the pages that hold it; null: none. */
export function miscountedHolder(
  tables: Iterable<Uint32Array>,
  holders: { readonly contents: number; of(content: number): number },
): number | null {
  const counted = new Uint32Array(holders.contents);
  for (const table of tables)
    for (const holding of table) if (isContent(holding)) counted[holding - FIRST_CONTENT]! += 1;
  for (let content = 0; content < counted.length; content += 1)
    if (counted[content] !== holders.of(content)) return content;
  return null;
}
