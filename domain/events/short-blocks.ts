// The table of a pack's blocks and its patches with short columns, as the events of written and rewritten
// packs have them.

import type { BlockTable } from '../values/pack.ts';
import { PACK_PAGES_MAX, PACK_PATTERNS_MAX } from '../values/page.ts';
import { NO_PATCHES, type PatchTable } from './patches.ts';
import { BYTES, NUMBERS, SLOTS, type ColumnReader, type ColumnWriter } from './short-columns.ts';

/** Most slots of a pack. */
export const SLOTS_MAX = PACK_PAGES_MAX + PACK_PATTERNS_MAX;
const WORD_MAX = 2 ** 32 - 1;

/** Writes a table without its checksums. */
export const writeBlocks = (writer: ColumnWriter, { codecs, pages, lengths }: BlockTable): void => {
  writer.number(codecs.length).column(codecs, BYTES).column(pages, BYTES).numbers(lengths);
};

/** A table whose checksums are to be read, and the slots of its blocks; a sentence where they are not of a pack. */
export function readBlocks(
  reader: ColumnReader,
): { readonly blocks: BlockTable; readonly slots: number } | string {
  const count = reader.number(SLOTS_MAX);
  const codecs = reader.column(new Uint8Array(count), BYTES, 255);
  const pages = reader.column(new Uint8Array(count), BYTES, 255);
  const lengths = reader.numbers(new Uint32Array(count), WORD_MAX);
  const slots = pages.reduce((sum, of) => sum + of, 0);
  if (reader.hasFailed || slots < 1 || slots > SLOTS_MAX)
    return `it claims ${slots} pages in ${count} blocks`;
  return { blocks: { codecs, pages, lengths, checksums: new Uint32Array(count) }, slots };
}

/** Writes patches whose packs have these numbers in a list of names. */
export function writePatches(
  writer: ColumnWriter,
  { packs, slots, packIndexes, references }: PatchTable,
  numberOf: (name: string) => number,
): void {
  writer.number(slots.length);
  let next = 0;
  for (const slot of slots) {
    writer.number(slot - next);
    next = slot + 1;
  }
  const numbers = packs.map((name) => numberOf(name));
  writer.column(
    packIndexes.map((index) => numbers[index]!),
    NUMBERS,
  );
  writer.column(references, SLOTS);
}

/** Slots of patches, which ascend and are below `slotsMax`. */
function readPatchSlots(reader: ColumnReader, slotsMax: number): Uint16Array {
  const slots = new Uint16Array(reader.number(slotsMax));
  let next = 0;
  for (let i = 0; i < slots.length; i += 1) {
    slots[i] = next + reader.number(Math.max(0, slotsMax - 1 - next));
    next = slots[i]! + 1;
  }
  return slots;
}

/** Patches below a slot, of packs in a list of names. */
export function readPatches(
  reader: ColumnReader,
  packs: readonly string[],
  slotsMax: number,
): PatchTable {
  const slots = readPatchSlots(reader, slotsMax);
  const count = slots.length;
  const packIndexes = reader.column(new Uint16Array(count), NUMBERS, packs.length - 1);
  const references = reader.column(new Uint16Array(count), SLOTS, PACK_PAGES_MAX - 1);
  return count === 0 ? NO_PATCHES : { packs, slots, packIndexes, references };
}
