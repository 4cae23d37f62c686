// Which pages of a point are copied for its checkpoint, and how many reads a point takes.

import { describe, expect, test } from '@jest/globals';
import { countReads } from '../../../domain/use-cases/layout/counted-reads.ts';
import { planLayout } from '../../../domain/use-cases/layout/layout-plan.ts';
import type { PageLocator, ReadPack } from '../../../domain/ports/models.ts';
import { FIRST_CONTENT, UNKNOWN, ZERO } from '../../../domain/values/holding.ts';
import { CODEC_RAW } from '../../../domain/values/pack.ts';
import { ordinalAt, placeAt, slotAt } from '../../../domain/values/place.ts';

const REGION = 512;
const PACK_SLOTS = 2048;
/** Slots of a storage block: blocks of 4 pages of 4 KiB, 8 of them in 128 KiB. */
const STORAGE_SLOTS = 32;

/** A pack of raw blocks of four pages. */
const pack = (ordinal: number, patches: readonly [number, number][] = []): ReadPack => {
  const count = PACK_SLOTS / 4;
  return {
    ordinal,
    name: String(ordinal).padStart(64, '0'),
    sizeBytes: 0,
    blocks: {
      codecs: new Uint8Array(count).fill(CODEC_RAW),
      pages: new Uint8Array(count).fill(4),
      lengths: new Uint32Array(count).fill(4 * 4096),
      checksums: new Uint32Array(count),
    },
    patches: { slots: Uint16Array.from(patches, ([slot]) => slot) },
    references: Uint32Array.from(patches, ([, reference]) => reference),
  };
};

/** A ledger whose content n lies in slot n % PACK_SLOTS of pack n / PACK_SLOTS. */
function locatorOf(packs: readonly ReadPack[]): PageLocator {
  return {
    placeOf: (holding) => {
      const content = holding - FIRST_CONTENT;
      return placeAt(Math.floor(content / PACK_SLOTS), content % PACK_SLOTS);
    },
    packAt: (place) => packs[ordinalAt(place)]!,
    referenceAt: (place) => {
      const { patches, references } = packs[ordinalAt(place)]!;
      const at = patches.slots.indexOf(slotAt(place));
      return at < 0 ? null : references[at]!;
    },
  };
}

const content = (ordinal: number, slot: number): number =>
  FIRST_CONTENT + ordinal * PACK_SLOTS + slot;

/** Four regions whose pages lie in a pack in their order. */
const inOrder = (): Uint32Array =>
  Uint32Array.from({ length: 4 * REGION }, (_, gfn) => content(0, gfn));

describe('a plan of what is copied', () => {
  const locator = locatorOf([pack(0), pack(1), pack(2, [[3, content(0, 9)]])]);

  test('is of nothing where pages lie in their order', () => {
    expect(planLayout(locator, inOrder()).gfns).toHaveLength(0);
  });

  test('is of the writes that a capture scattered, and not of what they are scattered over', () => {
    const table = inOrder();
    const written = Array.from({ length: 40 }, (_, i) => 7 + 51 * i);
    for (const [i, gfn] of written.entries()) table[gfn] = content(1, i);
    const plan = planLayout(locator, table);
    expect([...plan.gfns]).toEqual(written);
    expect([...plan.holdings]).toEqual(written.map((gfn) => table[gfn]));
  });

  test('leaves a storage block alone of which much is used in one region', () => {
    const table = inOrder();
    for (let i = 0; i < 16; i += 1) table[3 + 8 * i] = content(1, i);
    expect(planLayout(locator, table).gfns).toHaveLength(0);
    // One less is a run that is short.
    table[3 + 8 * 15] = content(0, 3 + 8 * 15);
    expect(planLayout(locator, table).gfns).toHaveLength(15);
  });

  test('copies a content once, for the first page that holds it, and nothing of what is not read', () => {
    const table = new Uint32Array(8).fill(ZERO);
    table.set([1, content(1, 5), UNKNOWN, content(1, 4), content(1, 5)], 2);
    const plan = planLayout(locator, table);
    expect([...plan.gfns]).toEqual([3, 5]);
    expect([...plan.holdings]).toEqual([content(1, 5), content(1, 4)]);
  });

  test('of pages that are asked for together begins with them, in that order, and leaves what lies together so', () => {
    const table = inOrder();
    const sets = [
      Uint32Array.of(900, 901, 70),
      // All of two storage blocks.
      Uint32Array.from({ length: 64 }, (_, i) => 256 + i),
      Uint32Array.of(3, 900),
    ];
    expect([...planLayout(locator, table, sets).gfns]).toEqual([900, 901, 70, 3]);
    const written = [7, 70, 1100];
    for (const [i, gfn] of written.entries()) table[gfn] = content(1, i);
    const plan = planLayout(locator, table, sets);
    expect([...plan.gfns]).toEqual([900, 901, 70, 3, 7, 1100]);
    expect([...plan.holdings]).toEqual([...plan.gfns].map((gfn) => table[gfn]));
  });

  test('takes a pattern that a pack keeps along', () => {
    const pattern = 0xf000_0000;
    const kept = {
      ...locator,
      placeOf: (of: number) => (of === pattern ? placeAt(1, 0) : locator.placeOf(of)),
    };
    expect([...planLayout(kept, Uint32Array.of(pattern)).gfns]).toEqual([0]);
  });

  test('and a count of reads take no memory by the number of what a page holds', () => {
    const pattern = 0xf000_0000;
    const kept = {
      ...locator,
      placeOf: (of: number) => (of === pattern ? placeAt(1, 0) : locator.placeOf(of)),
    };
    const before = process.memoryUsage().arrayBuffers;
    planLayout(kept, Uint32Array.of(pattern));
    countReads(kept, Uint32Array.of(pattern));
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 24);
  });
});

describe('the reads of a point', () => {
  const locator = locatorOf([pack(0), pack(1), pack(2, [[3, content(0, 9)]])]);

  test('are its storage blocks where pages lie in their order', () => {
    expect(countReads(locator, inOrder())).toBe((4 * REGION) / STORAGE_SLOTS);
  });

  test('count a storage block once a region', () => {
    const table = new Uint32Array(3 * REGION);
    for (const gfn of [0, 1, 500, REGION, 2 * REGION]) table[gfn] = content(1, gfn % 31);
    // The page of region 2 holds what page 0 does: it is there by then.
    expect(countReads(locator, table)).toBe(2);
  });

  test('count a storage block once of what is asked for at once', () => {
    const table = Uint32Array.of(content(1, 0), content(0, 40), content(1, 3), content(0, 3));
    expect(countReads(locator, table, { regionPages: 2 })).toBe(4);
    expect(countReads(locator, table, { regionPages: Infinity })).toBe(3);
  });

  test('count what patches lie upon as well', () => {
    expect(countReads(locator, Uint32Array.of(content(2, 3)))).toBe(2);
    expect(countReads(locator, Uint32Array.of(content(2, 4)))).toBe(1);
  });
});
