// What a client tells a memory server of its clones: it opens an export that is named by it, and empty.
// `clone/` stands before a JSON object; who has it open when, and how often, means nothing.

import * as either from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';
import { holder } from '../../../domain/events/control-codecs.ts';
import { count } from '../../../domain/events/number-codecs.ts';
import { hostText, lease, orNull } from '../../../domain/events/text-codecs.ts';
import type { PageRanges } from '../../../domain/values/page-ranges.ts';
import { rangesOfText, textOfRanges } from '../../../domain/values/page-ranges-text.ts';
import type { ToldClone, ToldLook } from '../../wiring/clones/far-clones.ts';
import { STRING_BYTES_MAX } from './protocol.ts';

const PREFIX = 'clone/';

const Ranges = new t.Type<PageRanges, string>(
  'ranges of pages',
  (value): value is PageRanges => Array.isArray(value),
  (value, context) => {
    const ranges = typeof value === 'string' ? rangesOfText(value) : null;
    return ranges === null ? t.failure(value, context) : t.success(ranges);
  },
  (ranges) => textOfRanges(ranges, STRING_BYTES_MAX).text,
);
const Clone = t.type({
  what: t.union([t.literal('began'), t.literal('ended')]),
  kind: t.union([t.literal('mapped'), t.literal('postcopy')]),
  lease,
  qmp: hostText,
  privatePages: orNull(count),
  holder,
});
const Look = t.type({
  what: t.literal('saw'),
  lease,
  holder,
  file: hostText,
  gone: Ranges,
  came: Ranges,
  own: Ranges,
  dropped: count,
});
const Told = t.union([Clone, Look]);

/** The name of the export that tells. */
export const nameOfTold = (told: ToldClone | ToldLook): string =>
  PREFIX + JSON.stringify(told.what === 'saw' ? Look.encode(told) : told);

/** What a name tells; null: it is another export's. */
export function toldInName(name: string): ToldClone | ToldLook | null {
  if (!name.startsWith(PREFIX)) return null;
  try {
    const told = Told.decode(JSON.parse(name.slice(PREFIX.length)));
    return either.isRight(told) ? told.right : null;
  } catch {
    return null;
  }
}

/** Ranges of a look that have room in a name together: its other texts are short ones. */
const RANGES_LETTERS_MAX = 2048;
const LISTS = ['gone', 'came', 'own'] as const;
type Lists = Readonly<Record<(typeof LISTS)[number], PageRanges>>;

/** As much of some ranges as one name has room for: those that are left out are told by the next. */
export function partOfLook(lists: Lists): Lists {
  let letters = RANGES_LETTERS_MAX;
  const part = { gone: [], came: [], own: [] } as Record<(typeof LISTS)[number], PageRanges>;
  for (const list of LISTS) {
    const { text, ranges } = textOfRanges(lists[list], letters);
    part[list] = lists[list].slice(0, ranges);
    letters -= text.length;
    if (ranges < lists[list].length) break;
  }
  return part;
}
