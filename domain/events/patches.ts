// Patches (after Difference Engine): a page kept as what it differs in from a reference.
// The slot of a patch holds the page XOR its reference, which compresses to little. Where a pack's
// patches lie and what they refer to stands in the pack's event:
//
//   0   2  packs p
//   2   2  patches m
//   4   -  pack names  p x 32 bytes
//       -  slots       m x u16      of the patches, ascending
//       -  packs       m x u16      index into the pack names
//       -  references  m x u16      slot of the reference in its pack
//
// All integers little-endian. Invariant: a reference is a content, and no patch itself.

import { fromHex, toHex } from '../values/identifier.ts';
import { PACK_PAGES_MAX } from '../values/page.ts';

/** A page is kept as a patch where fewer of its bytes than this differ from the reference. */
export const PATCH_BYTES_MAX = 2048;

/** Most packs that the patches of one pack refer to: their names stand in its event. */
export const PATCH_PACKS_MAX = 512;

const HEADER_BYTES = 4;
const NAME_BYTES = 32;
const ROW_BYTES = 6;

/** The patches of a pack, as columns in the order of their slots. */
export interface PatchTable {
  /** Names of the packs that hold references, in lower-case hex. */
  readonly packs: readonly string[];
  readonly slots: Uint16Array;
  readonly packIndexes: Uint16Array;
  readonly references: Uint16Array;
}

export const NO_PATCHES: PatchTable = {
  packs: [],
  slots: new Uint16Array(0),
  packIndexes: new Uint16Array(0),
  references: new Uint16Array(0),
};

/** Bytes of a table of patches; none where there are no patches. */
export function encodePatches(table: PatchTable): Uint8Array {
  const count = table.slots.length;
  if (count === 0) return new Uint8Array(0);
  const namesEnd = HEADER_BYTES + table.packs.length * NAME_BYTES;
  const bytes = new Uint8Array(namesEnd + count * ROW_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, table.packs.length, true);
  view.setUint16(2, count, true);
  for (const [i, name] of table.packs.entries())
    bytes.set(fromHex(name), HEADER_BYTES + i * NAME_BYTES);
  for (let i = 0; i < count; i += 1) {
    view.setUint16(namesEnd + 2 * i, table.slots[i]!, true);
    view.setUint16(namesEnd + 2 * (count + i), table.packIndexes[i]!, true);
    view.setUint16(namesEnd + 2 * (2 * count + i), table.references[i]!, true);
  }
  return bytes;
}

/** The table in these bytes, whose patches lie below `slotsMax`; a sentence where they hold none. */
export function decodePatches(bytes: Uint8Array, slotsMax: number): PatchTable | string {
  if (bytes.length === 0) return NO_PATCHES;
  if (bytes.length < HEADER_BYTES) return `its patches have ${bytes.length} bytes`;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [packCount, count] = [view.getUint16(0, true), view.getUint16(2, true)];
  const namesEnd = HEADER_BYTES + packCount * NAME_BYTES;
  const length = namesEnd + count * ROW_BYTES;
  if (count === 0 || packCount > count || length !== bytes.length)
    return `its patches need ${length} bytes and have ${bytes.length}`;
  const packs = Array.from({ length: packCount }, (_, i) =>
    toHex(bytes.subarray(HEADER_BYTES + i * NAME_BYTES, HEADER_BYTES + (i + 1) * NAME_BYTES)),
  );
  const column = (number: number): Uint16Array =>
    Uint16Array.from({ length: count }, (_, i) =>
      view.getUint16(namesEnd + 2 * (number * count + i), true),
    );
  const table = { packs, slots: column(0), packIndexes: column(1), references: column(2) };
  for (let i = 0; i < count; i += 1) {
    const slot = table.slots[i]!;
    if (slot >= slotsMax || (i > 0 && slot <= table.slots[i - 1]!))
      return `its patch ${i} is in slot ${slot}`;
    if (table.packIndexes[i]! >= packCount || table.references[i]! >= PACK_PAGES_MAX)
      return `its patch ${i} refers to slot ${table.references[i]} of pack ${table.packIndexes[i]}`;
  }
  return table;
}
