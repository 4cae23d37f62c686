// What a page holds, as one number: the word in which page tables, deciders and projections speak of
// content without carrying it.

/**
 * What a page holds, as one number: below FIRST_CONTENT a public pattern (0: zeros; UNTOLD: none); from it on the
 * content of that number minus FIRST_CONTENT; from PATTERN_BASE on the pattern of that number minus
 * PATTERN_BASE, whose descriptor lies in a pack. Contents and patterns are numbered in log order.
 */
export type Holding = number & { readonly _brand?: 'holding' };
/** The number of a content, counted from 0 in log order. */
export type Content = number & { readonly _brand?: 'content' };
/** The number of a kept pattern, counted from 0 in log order. */
export type KeptPattern = number & { readonly _brand?: 'kept pattern' };
export const ZERO: Holding = 0;
export const FIRST_CONTENT = 256;
export const PATTERN_BASE = 0xf000_0000;
/** The page was never written, or what it holds was lost to damage. */
export const UNKNOWN: Holding = 0xffff_ffff;
/**
 * What the page held is unknown, and nothing is lost: the source of its capture did not tell it, as a
 * dump that pages were left out of. It has a number that no public pattern gets.
 */
export const UNTOLD: Holding = 63;

export const isContent = (holding: Holding): boolean =>
  holding >= FIRST_CONTENT && holding < PATTERN_BASE;
/** Whether a descriptor in a pack describes the page. */
export const isKeptPattern = (holding: Holding): boolean =>
  holding >= PATTERN_BASE && holding !== UNKNOWN;
/** Whether what the page holds was stored in a pack: a content, or a pattern that is kept. */
export const isInPack = (holding: Holding): boolean => isContent(holding) || isKeptPattern(holding);
/** Whether a pattern describes the page: zeros, a public one, or one that is kept. */
export const isPattern = (holding: Holding): boolean =>
  (holding < FIRST_CONTENT && holding !== UNTOLD) || isKeptPattern(holding);
/** Whether it is known what the page holds. */
export const isTold = (holding: Holding): boolean => holding !== UNKNOWN && holding !== UNTOLD;

/** The number of the content that a page holds. */
export const contentOf = (holding: Holding): Content => holding - FIRST_CONTENT;
/** What a page holds that holds a content. */
export const holdingOfContent = (content: Content): Holding => FIRST_CONTENT + content;
/** The number of the kept pattern that a page holds. */
export const keptPatternOf = (holding: Holding): KeptPattern => holding - PATTERN_BASE;
/** What a page holds that a kept pattern describes. */
export const holdingOfPattern = (pattern: KeptPattern): Holding => PATTERN_BASE + pattern;
