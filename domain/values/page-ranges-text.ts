// Sets of pages in a few letters, for names that hold them. A range is a word: how many pages lie between it
// and the one before (of the first: before it), and after a `+` how many more pages it has, both to base 36.

import type { PageRanges } from './page-ranges.ts';

const BASE = 36;
/** Up to eight letters: no number that is not a safe one. */
const WORD = /^([0-9a-z]{1,8})(?:\+([0-9a-z]{1,8}))?$/u;

/** The text of ranges, as many of them as have room in so many letters, and how many these are. */
export function textOfRanges(
  ranges: PageRanges,
  lettersMax: number,
): { readonly text: string; readonly ranges: number } {
  const words: string[] = [];
  let letters = 0;
  let from = 0;
  for (const [first, last] of ranges) {
    const more = last === first ? '' : `+${(last - first).toString(BASE)}`;
    const word = `${(first - from).toString(BASE)}${more}`;
    letters += word.length + (words.length === 0 ? 0 : 1);
    if (letters > lettersMax) break;
    words.push(word);
    from = last + 1;
  }
  return { text: words.join(' '), ranges: words.length };
}

/** The ranges of a text; null where it is none: two that touch, or none that is a number. */
export function rangesOfText(text: string): PageRanges | null {
  if (text === '') return [];
  const ranges: (readonly [number, number])[] = [];
  let from = 0;
  for (const word of text.split(' ')) {
    const [, gap, more = '0'] = WORD.exec(word) ?? [];
    if (gap === undefined) return null;
    const first = from + Number.parseInt(gap, BASE);
    const last = first + Number.parseInt(more, BASE);
    const isApart = ranges.length === 0 || first > from;
    if (!isApart || !Number.isSafeInteger(last)) return null;
    ranges.push([first, last]);
    from = last + 1;
  }
  return ranges;
}
