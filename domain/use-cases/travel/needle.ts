// Bytes that are looked for in pages: where they lie inside one, and where one may begin or end with a
// part of them, because they lie across two pages.
//
// Of each way to cut them in two one half is looked for first, the one that has more bytes that are not
// zero: pages that end with a zero or begin with one are everywhere.

import * as either from 'fp-ts/lib/Either.js';
import { PAGE_BYTES } from '../../values/page.ts';
import type { Refusal } from '../../values/refusals.ts';

/** Longest bytes that are looked for: they lie in two pages at most. */
export const NEEDLE_BYTES_MAX = PAGE_BYTES;

/** The first place of bytes in others from an index on; -1: there is none. */
export type IndexOf = (bytes: Uint8Array, needle: Uint8Array, from: number) => number;

/** Bytes that are looked for. */
export interface Needle {
  readonly bytes: Uint8Array;
  /** Bytes before a cut, where that half is looked for first: at the end of a page. */
  readonly heads: readonly number[];
  /** Bytes before a cut, where what comes behind is looked for first: at the beginning of a page. */
  readonly tails: readonly number[];
}

/** What to look for: refused where it is nothing, too long, or everywhere. */
export function needleOf(bytes: Uint8Array): either.Either<Refusal, Needle> {
  const refused = (why: string) => either.left<Refusal>({ _tag: 'BadNeedle', why });
  if (bytes.length === 0) return refused('they are none');
  if (bytes.length > NEEDLE_BYTES_MAX)
    return refused(`they are ${bytes.length} bytes, more than a page of ${PAGE_BYTES}`);
  if (bytes.every((byte) => byte === 0)) return refused('zeros are everywhere');
  const telling = new Uint16Array(bytes.length + 1);
  for (const [i, byte] of bytes.entries()) telling[i + 1] = telling[i]! + (byte === 0 ? 0 : 1);
  const heads: number[] = [];
  const tails: number[] = [];
  for (let cut = 1; cut < bytes.length; cut += 1) {
    const before = telling[cut]!;
    const behind = telling[bytes.length]! - before;
    const isHead = before === behind ? 2 * cut >= bytes.length : before > behind;
    (isHead ? heads : tails).push(cut);
  }
  return either.right({ bytes, heads, tails });
}

/** Whether a page ends with so many of the first bytes. */
export function endsWith(page: Uint8Array, { bytes }: Needle, cut: number): boolean {
  for (let i = cut - 1; i >= 0; i -= 1) if (page[PAGE_BYTES - cut + i] !== bytes[i]) return false;
  return true;
}

/** Whether a page begins with what comes behind so many of the first bytes. */
export function beginsWith(page: Uint8Array, { bytes }: Needle, cut: number): boolean {
  for (let i = cut; i < bytes.length; i += 1) if (page[i - cut] !== bytes[i]) return false;
  return true;
}

/** Where bytes lie inside of pages: which page, and how far from its beginning. */
export function* insidePages(
  pages: Uint8Array,
  { bytes }: Needle,
  indexOf: IndexOf,
): Generator<{ readonly page: number; readonly offset: number }> {
  for (let at = indexOf(pages, bytes, 0); at >= 0; at = indexOf(pages, bytes, at + 1)) {
    const offset = at % PAGE_BYTES;
    // Pages that lie one after the other here need not do so in a guest.
    if (offset + bytes.length <= PAGE_BYTES) yield { page: (at - offset) / PAGE_BYTES, offset };
  }
}
