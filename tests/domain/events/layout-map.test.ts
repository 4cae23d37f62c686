// Maps of checkpoints: their bytes, for ever, and bytes that are none.

import { describe, expect, test } from '@jest/globals';
import * as either from 'fp-ts/lib/Either.js';
import fc from 'fast-check';
import {
  decodeLayoutMap,
  encodeLayoutMap,
  LAYOUT_MAP_BYTES_MAX,
  LAYOUT_PACKS_MAX,
  type LayoutMap,
} from '../../../domain/events/layout-map.ts';
import { CODEC_SALTED } from '../../../domain/values/block-salt.ts';
import { CODEC_PACKED, CODEC_RAW, PACK_HEADER_BYTES } from '../../../domain/values/pack.ts';
import { storageBlockEnds } from '../../../domain/values/storage-blocks.ts';
import { goldenBytes } from '../../support/golden/golden-capture.ts';
import { GOLDEN_LAYOUT_MAP, GOLDEN_ORDERED_GFNS } from '../../support/golden/golden-layout.ts';
import { seededRandom } from '../../support/images.ts';

/** A map of so many packs, of blocks of one to four pages. */
function mapOf({ seed, packs }: { readonly seed: number; readonly packs: number }): LayoutMap {
  const random = seededRandom(seed);
  let slots = 0;
  const laidOut = Array.from({ length: packs }, (_, i) => {
    const count = 1 + random(40);
    const pages = Uint8Array.from({ length: count }, () => 1 + random(4));
    const lengths = Uint32Array.from(pages, (n) => 5 + random(4096 * n));
    slots += pages.reduce((sum, n) => sum + n, 0);
    return {
      name: String(i).padStart(64, 'a'),
      sizeBytes: PACK_HEADER_BYTES + lengths.reduce((sum, length) => sum + length, 0),
      blocks: {
        codecs: new Uint8Array(count).fill(CODEC_PACKED | CODEC_SALTED),
        pages,
        lengths,
        checksums: Uint32Array.from(pages, () => random(2 ** 32)),
      },
      storageEnds: storageBlockEnds(lengths, 1 + random(100_000)),
    };
  });
  let gfn = random(9);
  const gfns = Uint32Array.from({ length: slots }, () => (gfn += 1 + random(2) * random(50)));
  return { capture: 1 + random(1000), packs: laidOut, gfns };
}

const shape = fc.record({ seed: fc.nat(), packs: fc.integer({ min: 1, max: 4 }) });
const map = (): LayoutMap => mapOf({ seed: 5, packs: 2 });

describe('a map', () => {
  test('of format 1 stays what it was', () => {
    const bytes = goldenBytes('layout-map-1/map.bin');
    expect(decodeLayoutMap(bytes)).toEqual(either.right(GOLDEN_LAYOUT_MAP));
    expect(encodeLayoutMap(GOLDEN_LAYOUT_MAP)).toEqual(bytes);
  });

  test('of format 2 stays what it was', () => {
    const ordered = { ...GOLDEN_LAYOUT_MAP, gfns: GOLDEN_ORDERED_GFNS };
    const bytes = goldenBytes('layout-map-2/map.bin');
    expect(decodeLayoutMap(bytes)).toEqual(either.right(ordered));
    expect(encodeLayoutMap(ordered)).toEqual(bytes);
  });

  test('reads back as it was written, in whatever order its pages are', () => {
    fc.assert(
      fc.property(shape, (of) => {
        const made = mapOf(of);
        const bytes = encodeLayoutMap(made);
        expect(bytes.length).toBeLessThanOrEqual(LAYOUT_MAP_BYTES_MAX);
        expect(decodeLayoutMap(bytes)).toEqual(either.right(made));
        const turned = { ...made, gfns: made.gfns.toReversed() };
        expect(decodeLayoutMap(encodeLayoutMap(turned))).toEqual(either.right(turned));
      }),
    );
  });

  test('that was cut, or goes on, is none', () => {
    const bytes = encodeLayoutMap(map());
    for (let length = 0; length < bytes.length; length += 1)
      expect(either.isLeft(decodeLayoutMap(bytes.subarray(0, length)))).toBe(true);
    expect(either.isLeft(decodeLayoutMap(Uint8Array.of(...bytes, 0)))).toBe(true);
  });

  const HEADER = 20;
  const spoil: readonly (readonly [string, (view: DataView) => void, RegExp])[] = [
    ['begins otherwise', (view) => view.setUint8(0, 0), /does not begin as one/u],
    ['is of a later format', (view) => view.setUint32(4, 3, true), /is of format 3/u],
    ['is of no capture', (view) => view.setUint32(8, 0, true), /of no capture/u],
    ['claims no packs', (view) => view.setUint32(12, 0, true), /claims 0 packs/u],
    [
      'claims more packs than there may be',
      (view) => view.setUint32(12, LAYOUT_PACKS_MAX + 1, true),
      /claims 513 packs/u,
    ],
    ['claims runs beyond its end', (view) => view.setUint32(16, 2 ** 31, true), /runs end at/u],
    [
      'claims blocks beyond all bounds',
      (view) => view.setUint32(HEADER + 36, 2 ** 32 - 1, true),
      /has 4294967295 blocks/u,
    ],
    [
      'claims no storage blocks',
      (view) => view.setUint32(HEADER + 40, 0, true),
      /in 0 storage blocks/u,
    ],
    ['claims another size', (view) => view.setUint32(HEADER + 32, 1, true), /its blocks end at/u],
  ];
  test.each(spoil)('that %s is none', (_what, change, why) => {
    const bytes = encodeLayoutMap(map());
    change(new DataView(bytes.buffer));
    expect(decodeLayoutMap(bytes)).toEqual(either.left(expect.stringMatching(why)));
  });

  test('whose storage blocks do not end one after another, or whose pages are not as its format has it, is none', () => {
    const made = map();
    const [first, ...rest] = made.packs;
    const ends = Uint32Array.of(first!.blocks.codecs.length, first!.blocks.codecs.length);
    const uneven = { ...made, packs: [{ ...first!, storageEnds: ends }, ...rest] };
    expect(decodeLayoutMap(encodeLayoutMap(uneven))).toEqual(
      either.left(expect.stringContaining('do not end one after another')),
    );
    const turned = encodeLayoutMap({ ...made, gfns: made.gfns.toReversed() });
    new DataView(turned.buffer).setUint32(4, 1, true);
    expect(decodeLayoutMap(turned)).toEqual(either.left(expect.stringMatching(/run \d+ is of/u)));
    const twice = { ...made, gfns: made.gfns.map((gfn, i) => (i === 0 ? made.gfns.at(-1)! : gfn)) };
    expect(decodeLayoutMap(encodeLayoutMap(twice))).toEqual(
      either.left(expect.stringContaining('names a page twice')),
    );
    const fewer = { ...made, gfns: made.gfns.subarray(1) };
    expect(decodeLayoutMap(encodeLayoutMap(fewer))).toEqual(
      either.left(expect.stringContaining('its runs name')),
    );
  });

  test('of a pack with raw blocks or with none that are salted is one', () => {
    const made = map();
    const packs = made.packs.map((pack) => ({
      ...pack,
      blocks: { ...pack.blocks, codecs: pack.blocks.codecs.map(() => CODEC_RAW) },
    }));
    expect(either.isRight(decodeLayoutMap(encodeLayoutMap({ ...made, packs })))).toBe(true);
  });
});
