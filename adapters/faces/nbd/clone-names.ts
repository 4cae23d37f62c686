// What a client tells a memory server of its clones: it opens an export that is named by it, and empty.
// `clone/` stands before a JSON object; who has it open when, and how often, means nothing.

import * as either from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';
import { holder } from '../../../domain/events/control-codecs.ts';
import { count } from '../../../domain/events/number-codecs.ts';
import { hostText, lease, orNull } from '../../../domain/events/text-codecs.ts';
import type { ToldClone } from '../../wiring/clones/far-clones.ts';

const PREFIX = 'clone/';

const Told = t.type({
  what: t.union([t.literal('began'), t.literal('ended')]),
  lease,
  qmp: hostText,
  privatePages: orNull(count),
  holder,
});

/** The name of the export that tells. */
export const nameOfTold = (told: ToldClone): string => PREFIX + JSON.stringify(told);

/** What a name tells; null: it is another export's. */
export function toldInName(name: string): ToldClone | null {
  if (!name.startsWith(PREFIX)) return null;
  try {
    const told = Told.decode(JSON.parse(name.slice(PREFIX.length)));
    return either.isRight(told) ? told.right : null;
  } catch {
    return null;
  }
}
