// Classes of pages: which pattern describes a page, if any.

import { matchPattern, probe } from './patterns';

const PAGE_SHIFT: u32 = 12;
/** Bytes from one descriptor to the next: more than any has. */
const DESCRIPTOR_STRIDE: usize = 144;

function pageAt(list: usize, i: u32, pages: usize): usize {
  return pages + ((<usize>load<u32>(list + ((<usize>i) << 2))) << PAGE_SHIFT);
}

/**
 * The classes of `count` pages, page `list[i]` (u32, counted from address `pages`) into byte i of
 * `classes`; 255 where a page may be one of known strings, which the caller finds out. Of a page of a
 * class above that of zeros, the descriptor goes to `descriptors`, DESCRIPTOR_STRIDE bytes each, and
 * its length into byte i of `lengths`. `periods` holds the lengths (u16) of added strings. Returns how
 * many pages the first look was enough for.
 */
export function classify(
  list: usize,
  count: u32,
  pages: usize,
  periods: usize,
  periodCount: u32,
  classes: usize,
  descriptors: usize,
  lengths: usize,
): u32 {
  let rejected: u32 = 0;
  for (let i: u32 = 0; i < count; i += 1) store<u8>(classes + i, probe(pageAt(list, i, pages)));
  for (let i: u32 = 0; i < count; i += 1) {
    const hint = load<u8>(classes + i);
    // The hint of a page that cannot be a pattern is its class: none.
    if (((<u32>hint) | periodCount) == 0) {
      rejected += 1;
      continue;
    }
    const out = descriptors + <usize>i * DESCRIPTOR_STRIDE;
    const page = pageAt(list, i, pages);
    store<u8>(classes + i, matchPattern(page, hint, periods, periodCount, out, lengths + i));
  }
  return rejected;
}
