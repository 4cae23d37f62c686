import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import * as either from 'fp-ts/lib/Either.js';
import { CODEC_SALTED, saltBytesOf } from '../../../domain/values/block-salt.ts';
import {
  CODEC_PACKED,
  CODEC_PATTERN,
  CODEC_RAW,
  CODEC_ZSTD,
  PACKED_PAGES_MAX,
  PACK_HEADER_BYTES,
} from '../../../domain/values/pack.ts';
import { BLOCK_PAGES_MAX, PACK_PAGES_MAX, PACK_SLOTS } from '../../../domain/values/page.ts';
import { NO_PATCHES } from '../../../domain/events/patches.ts';
import {
  decodePackRewritten,
  encodePackRewritten,
  type PackRewritten,
} from '../../../domain/events/pack-rewritten.ts';
import { damaged } from '../../support/arbitraries.ts';
import { seededRandom } from '../../support/images.ts';

interface Shape {
  readonly seed: number;
  readonly contents: number;
  readonly patterns: number;
  readonly sources: number;
  readonly isPatched: boolean;
}

const shape: fc.Arbitrary<Shape> = fc.record({
  seed: fc.nat(),
  contents: fc.integer({ min: 1, max: 300 }),
  patterns: fc.nat({ max: 100 }),
  sources: fc.integer({ min: 1, max: 20 }),
  isPatched: fc.boolean(),
});

function makePack({ seed, contents, patterns, sources: wanted, isPatched }: Shape): PackRewritten {
  const random = seededRandom(seed);
  const pages: number[] = [];
  const codecs: number[] = [];
  for (const [total, codec] of [
    [contents, -1],
    [patterns, CODEC_PATTERN],
  ] as const)
    for (let left = total; left > 0;) {
      const inBlock = Math.min(left, 1 + random(BLOCK_PAGES_MAX));
      pages.push(inBlock);
      const compressed = inBlock > PACKED_PAGES_MAX ? CODEC_ZSTD : CODEC_PACKED;
      const bare = codec < 0 ? [CODEC_RAW, CODEC_ZSTD, compressed][random(3)]! : codec;
      codecs.push(bare | [0, CODEC_SALTED][random(2)]!);
      left -= inBlock;
    }
  const lengths = Uint32Array.from(pages, (inBlock, block) => {
    return 1 + random(inBlock * 4096) + saltBytesOf(codecs[block]!);
  });
  const slots = contents + patterns;
  const homes = Math.min(wanted, slots);
  const hex = (): string => Array.from({ length: 64 }, () => random(16).toString(16)).join('');
  const patches = {
    packs: [hex()],
    slots: Uint16Array.of(random(contents)),
    packIndexes: Uint16Array.of(0),
    references: Uint16Array.of(random(PACK_PAGES_MAX)),
  };
  return {
    name: hex(),
    group: 'a-group',
    sizeBytes: PACK_HEADER_BYTES + lengths.reduce((sum, length) => sum + length, 0),
    blocks: {
      codecs: Uint8Array.from(codecs),
      pages: Uint8Array.from(pages),
      lengths,
      checksums: Uint32Array.from(pages, () => random(2 ** 31)),
    },
    sources: Array.from({ length: homes }, hex),
    sourceIndexes: Uint16Array.from({ length: slots }, () => random(homes)),
    sourceSlots: Uint16Array.from({ length: slots }, () => random(PACK_SLOTS)),
    patches: isPatched ? patches : NO_PATCHES,
  };
}

const CODE = { _tag: 'Left', left: { code: 'EVENT_INVALID' } };

describe('the columns of a rewritten pack', () => {
  test('read back as they were written', () => {
    fc.assert(
      fc.property(shape, (of) => {
        const pack = makePack(of);
        expect(decodePackRewritten(encodePackRewritten(pack))).toEqual(either.right(pack));
      }),
    );
  });

  test('that are damaged are refused or are another pack, and never more than their bytes', () => {
    const bytes = encodePackRewritten(
      makePack({ seed: 4, contents: 60, patterns: 9, sources: 3, isPatched: true }),
    );
    fc.assert(
      fc.property(damaged(bytes), (found) => {
        const decoded = decodePackRewritten(found);
        const again = either.isLeft(decoded) ? found : encodePackRewritten(decoded.right);
        expect(again.length).toBeLessThanOrEqual(found.length);
        expect(either.isLeft(decoded) ? decoded : CODE).toMatchObject(CODE);
      }),
    );
  });

  test.each([
    ['no slot', 32, 0],
    ['more slots than a pack has', 32, 6000],
    ['more blocks than slots', 36, 100],
    ['no home', 44, 0],
    ['more homes than slots', 44, 100],
    ['another length', 40, 1],
  ])('that claim %s are refused', (_what, at, value) => {
    const pack = makePack({ seed: 1, contents: 50, patterns: 0, sources: 2, isPatched: false });
    const bytes = encodePackRewritten(pack);
    new DataView(bytes.buffer).setUint32(at, value, true);
    expect(decodePackRewritten(bytes)).toMatchObject(CODE);
  });

  test('that name a home that is not listed are refused', () => {
    const pack = makePack({ seed: 1, contents: 50, patterns: 0, sources: 2, isPatched: false });
    const bytes = encodePackRewritten({ ...pack, sourceIndexes: pack.sourceIndexes.fill(2) });
    expect(decodePackRewritten(bytes)).toMatchObject(CODE);
  });
});
