// Slots of a pack as bits, slot s bit s mod 8 of byte s / 8; events write these down in hex.

import { fromHex, toHex } from './identifier.ts';

/** Bits of a slot set, eight slots a byte. */
const SLOTS_A_BYTE = 8;

/** Takes a slot into bits that have room for it. */
export function addSlot(bits: Uint8Array, slot: number): void {
  bits[slot >>> 3]! |= 1 << (slot & 7);
}

/** Slots that bits have, ascending. */
export function* slotsOfBits(bits: Uint8Array): Generator<number> {
  for (const [i, byte] of bits.entries())
    for (let bit = 0; bit < SLOTS_A_BYTE; bit += 1)
      if ((byte & (1 << bit)) !== 0) yield i * SLOTS_A_BYTE + bit;
}

/** Slots that a set names, ascending. */
export const slotsIn = (set: string): Generator<number> => slotsOfBits(fromHex(set));

/** The set of some slots, which ascend. */
export const setOfSlots = (slots: readonly number[]): string => {
  const bytes = new Uint8Array(1 + ((slots.at(-1) ?? 0) >>> 3));
  for (const slot of slots) addSlot(bytes, slot);
  return toHex(bytes);
};
