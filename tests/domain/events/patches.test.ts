import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  decodePatches,
  encodePatches,
  NO_PATCHES,
  type PatchTable,
} from '../../../domain/events/patches.ts';
import { PACK_PAGES_MAX } from '../../../domain/values/page.ts';

const name = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((bytes) => Buffer.from(bytes).toString('hex'));

const table: fc.Arbitrary<PatchTable> = fc
  .record({
    slots: fc.uniqueArray(fc.nat({ max: 999 }), { minLength: 1, maxLength: 60 }),
    names: fc.array(name, { minLength: 1, maxLength: 60 }),
    seed: fc.nat({ max: 4000 }),
  })
  .map(({ slots, names, seed }) => {
    const packs = names.slice(0, slots.length);
    return {
      packs,
      slots: Uint16Array.from(slots.toSorted((a, b) => a - b)),
      packIndexes: Uint16Array.from(slots, (slot) => (slot + seed) % packs.length),
      references: Uint16Array.from(slots, (slot) => (slot * 7 + seed) % PACK_PAGES_MAX),
    };
  });

const SLOTS = 1000;
const one: PatchTable = {
  packs: ['ab'.repeat(32)],
  slots: Uint16Array.of(3),
  packIndexes: Uint16Array.of(0),
  references: Uint16Array.of(9),
};

describe('the patches of a pack', () => {
  test('read back as they were written', () => {
    fc.assert(
      fc.property(table, (some) => {
        expect(decodePatches(encodePatches(some), SLOTS)).toEqual(some);
      }),
    );
  });

  test('take no byte where there are none', () => {
    expect(encodePatches(NO_PATCHES)).toHaveLength(0);
    expect(decodePatches(new Uint8Array(0), SLOTS)).toEqual(NO_PATCHES);
  });

  test.each<[string, Partial<PatchTable>]>([
    ['a slot that the pack has not', { slots: Uint16Array.of(SLOTS) }],
    ['a pack that is not named', { packIndexes: Uint16Array.of(1) }],
    ['a slot that no pack has', { references: Uint16Array.of(PACK_PAGES_MAX) }],
  ])('are refused with %s', (_, change) => {
    expect(typeof decodePatches(encodePatches({ ...one, ...change }), SLOTS)).toBe('string');
  });

  test('are refused where slots do not ascend', () => {
    const two: PatchTable = {
      ...one,
      slots: Uint16Array.of(3, 3),
      packIndexes: Uint16Array.of(0, 0),
      references: Uint16Array.of(1, 2),
    };
    expect(decodePatches(encodePatches(two), SLOTS)).toContain('patch 1');
  });

  test('are refused at any other length', () => {
    const bytes = encodePatches(one);
    for (let length = 1; length < bytes.length; length += 1)
      expect(typeof decodePatches(bytes.subarray(0, length), SLOTS)).toBe('string');
    expect(typeof decodePatches(Uint8Array.of(...bytes, 0), SLOTS)).toBe('string');
  });
});
