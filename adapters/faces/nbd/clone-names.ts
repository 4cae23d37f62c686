// What a client tells a memory server of its clones: it opens an export that is named by it, and empty.
// `clone/` stands before a JSON object; who has it open when, and how often, means nothing.

import * as either from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';
import type { ToldClone } from '../../wiring/clones/far-clones.ts';

const PREFIX = 'clone/';
const TEXT_MAX = 255;

const Text = t.refinement(t.string, ({ length }) => length <= TEXT_MAX, 'a short text');
const Name = t.union([Text, t.null]);
const Count = t.refinement(
  t.number,
  (value) => Number.isSafeInteger(value) && value >= 0,
  'a count',
);
const Lease = t.refinement(t.string, (text) => /^[0-9a-f]{16}$/u.test(text), 'a lease');
const Told = t.type({
  what: t.union([t.literal('began'), t.literal('ended')]),
  lease: Lease,
  qmp: Text,
  privatePages: t.union([Count, t.null]),
  holder: t.type({
    host: Text,
    machine: Name,
    boot: Name,
    space: Name,
    process: Count,
    started: t.union([Count, t.null]),
  }),
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
