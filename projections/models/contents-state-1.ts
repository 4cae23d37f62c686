// The contents as baselines of format 1 have them: patches with the names of packs that they refer to,
// places of all slots of a pack of which any moved, and the class of every pattern that there ever was.

import type { PatchTable } from '../../domain/events/patches.ts';
import {
  checkNumbers,
  readAllAliases,
  readBlocks,
  readEmptied,
  takeRewritten,
  takeWritten,
  type ContentsTarget,
  type ReadContents,
} from './contents-target.ts';
import type { PackNumbers } from './packs.ts';
import { STAYS, type MovedSlots } from './places.ts';
import { StateUnfit, type StateReader } from './state-bytes.ts';

const REWRITTEN = 1;

function readPatches(reader: StateReader): PatchTable {
  const names = reader.text();
  const [slots, packIndexes, references] = [reader.halves(), reader.halves(), reader.halves()];
  return { packs: names === '' ? [] : names.split(' '), slots, packIndexes, references };
}

function readPack(
  reader: StateReader,
  contents: ContentsTarget,
  of: { readonly classes: Uint8Array; readonly end: PackNumbers },
): void {
  const { end } = of;
  const kind = reader.u32();
  const ordinal = reader.u32();
  const named = { name: reader.text(), group: reader.text(), position: reader.u64() };
  const sizeBytes = reader.u32();
  const blocks = readBlocks(reader);
  const patches = readPatches(reader);
  const references = contents.referencesOf(patches);
  const stored = {
    ...named,
    tables: { sizeBytes, blocks, patches: { slots: patches.slots }, references },
  };
  if (kind === REWRITTEN) {
    takeRewritten(contents, { ...stored, holdings: reader.words() }, { ordinal, end });
    return;
  }
  const origin = { vm: reader.text(), capture: reader.u32(), isLinked: reader.u32() === 1 };
  const [firstContent, pages] = [reader.u32(), reader.u32()];
  const [firstPattern, patterns] = [reader.u32(), reader.u32()];
  const classes = of.classes.subarray(firstPattern, firstPattern + patterns);
  const first = { ordinal, firstContent, firstPattern, isEmptied: false };
  takeWritten(contents, { ...stored, ...origin, pages, patterns }, { first, classes }, end);
}

function movedOf(places: Float64Array): MovedSlots {
  const slots = Uint16Array.from(
    [...places.entries()].filter(([, place]) => place !== STAYS),
    ([slot]) => slot,
  );
  return { slots, places: Float64Array.from(slots, (slot) => places[slot]!) };
}

/** Takes packs and aliases in, behind their first number. StateUnfit where there are none. */
export function readFirstContents(
  reader: StateReader,
  contents: ContentsTarget,
  written: number,
): ReadContents {
  contents.startAt({ written, listed: reader.u32(), numbering: reader.u64() });
  const next = {
    ordinal: reader.u32(),
    firstContent: reader.u32(),
    firstPattern: reader.u32(),
  };
  const classes = reader.column();
  if (classes.length !== next.firstPattern) throw new StateUnfit('patterns have no class each');
  readAllAliases(reader, contents);
  for (let left = reader.u32(); left > 0; left -= 1)
    readPack(reader, contents, { classes, end: next });
  const moved = new Map<number, MovedSlots>();
  for (let left = reader.u32(); left > 0; left -= 1)
    moved.set(reader.u32(), movedOf(reader.doubles()));
  const emptiedAtMs = readEmptied(reader);
  checkNumbers(next, contents.numbers, next);
  return { places: { moved, emptiedAtMs }, next };
}
