// Slots of a pack as events write them down: bits in hex, slot s bit s mod 8 of byte s / 8.

import { fromHex, toHex } from './identifier.ts';

/** Bits of a slot set, eight slots a byte. */
const SLOTS_A_BYTE = 8;

/** Slots that a set names, ascending. */
export function* slotsIn(set: string): Generator<number> {
  for (const [i, byte] of fromHex(set).entries())
    for (let bit = 0; bit < SLOTS_A_BYTE; bit += 1)
      if ((byte & (1 << bit)) !== 0) yield i * SLOTS_A_BYTE + bit;
}

/** The set of some slots, which ascend. */
export const setOfSlots = (slots: readonly number[]): string => {
  const bytes = new Uint8Array(1 + ((slots.at(-1) ?? 0) >>> 3));
  for (const slot of slots) bytes[slot >>> 3]! |= 1 << (slot & 7);
  return toHex(bytes);
};
