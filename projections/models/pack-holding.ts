// How a written pack's contents are held, as bytes of a state: a number of bits, and which slots are held
// large where any are.

import { areRuns, NO_RUNS } from '../../domain/values/slot-runs.ts';
import type { KnownPack } from './packs.ts';
import { StateUnfit, type StateReader, type StateWriter } from './state-bytes.ts';

/** Its pages may be shared. */
const LINKED = 1;
/** Slots of it are held large. */
const LARGE = 2;

/** The number that says it. */
export const heldOf = ({ isLinked, large }: KnownPack): number =>
  (isLinked ? LINKED : 0) | (large.length > 0 ? LARGE : 0);

/** Whether slots of a pack with this number are held large. */
export const hasLarge = (held: number): boolean => (held & LARGE) !== 0;

/** Writes which slots are held large, where any are. */
export function writeLarge(writer: StateWriter, { large }: KnownPack): void {
  if (large.length > 0) writer.column(large);
}

/** What the number says, and what `writeLarge` wrote. StateUnfit where it does not fit the contents. */
export function readHeld(
  reader: StateReader,
  held: number,
  contents: number,
): Pick<KnownPack, 'isLinked' | 'large'> {
  if (held > (LINKED | LARGE)) throw new StateUnfit('a pack is held in another way');
  const large = hasLarge(held) ? reader.halves() : NO_RUNS;
  if (!areRuns(large, contents)) throw new StateUnfit('slots that are held large are no runs');
  return { isLinked: (held & LINKED) !== 0, large };
}
