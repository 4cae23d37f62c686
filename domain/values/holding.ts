// What a page holds, as one number: the word in which page tables, deciders and projections speak of
// content without carrying it.

/**
 * What a page holds, as one number: below FIRST_CONTENT a public pattern (0: zeros); from it on the
 * content of that number minus FIRST_CONTENT; from PATTERN_BASE on the pattern of that number minus
 * PATTERN_BASE, whose descriptor lies in a pack. Contents and patterns are numbered in log order.
 */
export type Holding = number;
export const ZERO: Holding = 0;
export const FIRST_CONTENT = 256;
export const PATTERN_BASE = 0xf000_0000;
/** The page was never written, or what it holds was lost to damage. */
export const UNKNOWN: Holding = 0xffff_ffff;

export const isContent = (holding: Holding): boolean =>
  holding >= FIRST_CONTENT && holding < PATTERN_BASE;
/** Whether a descriptor in a pack describes the page. */
export const isKeptPattern = (holding: Holding): boolean =>
  holding >= PATTERN_BASE && holding !== UNKNOWN;
/** Whether a pattern describes the page: zeros, a public one, or one that is kept. */
export const isPattern = (holding: Holding): boolean =>
  holding < FIRST_CONTENT || isKeptPattern(holding);
