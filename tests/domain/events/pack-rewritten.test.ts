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
import {
  BLOCK_PAGES_MAX,
  EVENT_BYTES_MAX,
  PACK_PAGES_MAX,
  PACK_PATTERNS_MAX,
  PACK_SLOTS,
} from '../../../domain/values/page.ts';
import { NO_PATCHES, PATCH_PACKS_MAX } from '../../../domain/events/patches.ts';
import { BYTES, ColumnWriter } from '../../../domain/events/short-columns.ts';
import {
  decodePackRewritten,
  encodePackRewritten,
  SOURCE_PACKS_MAX,
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
    isCopied: false,
  };
}

const CODE = { _tag: 'Left', left: { code: 'EVENT_INVALID' } };

/** A pack as schema 4 has it: what patches name stands behind the other names. */
function withOneList(pack: PackRewritten): PackRewritten {
  const { sources, patches } = pack;
  if (patches.slots.length === 0) return pack;
  const packs = [...sources, ...patches.packs];
  const packIndexes = patches.packIndexes.map((index) => sources.length + index);
  return { ...pack, sources: packs, patches: { ...patches, packs, packIndexes } };
}

/** A pack of blocks that are copied whole, each from another slot. */
function withCopies(pack: PackRewritten): PackRewritten {
  const random = seededRandom(9);
  const rows = [...pack.blocks.pages].flatMap((pages) => {
    const [source, first] = [random(pack.sources.length), random(PACK_SLOTS - pages)];
    return Array.from({ length: pages }, (_, i) => [source, first + i] as const);
  });
  return {
    ...pack,
    blocks: { ...pack.blocks, checksums: new Uint32Array(pack.blocks.codecs.length) },
    sourceIndexes: Uint16Array.from(rows, ([source]) => source),
    sourceSlots: Uint16Array.from(rows, ([, slot]) => slot),
    patches: NO_PATCHES,
    isCopied: true,
  };
}

const decode = (data: Uint8Array, schema: number) => decodePackRewritten({ schema, data });
const SOME = { seed: 4, contents: 60, patterns: 9, sources: 3, isPatched: true };

describe.each([
  ['of schema 3', 3, (pack: PackRewritten) => pack],
  ['of schema 4', 4, withOneList],
  ['of copied blocks', 4, withCopies],
] as const)('the columns of a rewritten pack %s', (_what, schema, as) => {
  test('read back as they were written', () => {
    fc.assert(
      fc.property(shape, (of) => {
        const pack = as(makePack(of));
        expect(decode(encodePackRewritten(pack, schema), schema)).toEqual(either.right(pack));
      }),
    );
  });

  test('that are damaged are refused or are another pack, and never more than their bytes', () => {
    const bytes = encodePackRewritten(as(makePack(SOME)), schema);
    fc.assert(
      fc.property(damaged(bytes), (found) => {
        const decoded = decode(found, schema);
        const again = either.isLeft(decoded) ? found : encodePackRewritten(decoded.right, schema);
        expect(again.length).toBeLessThanOrEqual(found.length);
        expect(either.isLeft(decoded) ? decoded : CODE).toMatchObject(CODE);
      }),
    );
  });

  test('are refused where they end early', () => {
    const bytes = encodePackRewritten(as(makePack({ ...SOME, isPatched: false })), schema);
    for (let length = 0; length < bytes.length; length += 1)
      expect(decode(bytes.subarray(0, length), schema)).toMatchObject(CODE);
  });
});

describe('the columns of a rewritten pack of schema 4', () => {
  const pack = makePack({ seed: 1, contents: 50, patterns: 0, sources: 2, isPatched: true });

  test('name each pack once, and what lay together in a few bytes', () => {
    const { length } = pack.sourceSlots;
    const together = {
      ...pack,
      sources: [pack.sources[0]!],
      sourceIndexes: new Uint16Array(length),
      sourceSlots: Uint16Array.from({ length }, (_, slot) => 100 + slot),
      patches: NO_PATCHES,
    };
    const blocks = pack.blocks.codecs.length;
    const bytes = encodePackRewritten(together, 4).length;
    expect(bytes).toBeLessThan(32 + 32 + 20 + blocks * (1 + 1 + 3 + 4) + 10);
    expect(encodePackRewritten(together, 3).length).toBeGreaterThan(bytes + 4 * length);
  });

  test('have room for the most that a pack holds', () => {
    const hex = (i: number): string => i.toString(16).padStart(64, '0');
    const slots = PACK_PAGES_MAX + PACK_PATTERNS_MAX;
    const largest: PackRewritten = {
      ...pack,
      sizeBytes: PACK_HEADER_BYTES + slots * 4100,
      blocks: {
        codecs: Uint8Array.from({ length: slots }, (_, slot) => {
          const codec =
            slot < PACK_PAGES_MAX ? [CODEC_RAW, CODEC_PACKED][slot % 2]! : CODEC_PATTERN;
          return codec | CODEC_SALTED;
        }),
        pages: new Uint8Array(slots).fill(1),
        lengths: new Uint32Array(slots).fill(4100),
        checksums: new Uint32Array(slots).fill(0xffff_ffff),
      },
      sources: Array.from({ length: SOURCE_PACKS_MAX }, (_, i) => hex(i)),
      sourceIndexes: Uint16Array.from({ length: slots }, (_, slot) => slot % SOURCE_PACKS_MAX),
      sourceSlots: Uint16Array.from({ length: slots }, (_, slot) => PACK_SLOTS - 1 - (slot % 2)),
      patches: {
        packs: Array.from({ length: PATCH_PACKS_MAX }, (_, i) => hex(2 ** 20 + i)),
        slots: Uint16Array.from({ length: PACK_PAGES_MAX }, (_, slot) => slot),
        packIndexes: Uint16Array.from({ length: PACK_PAGES_MAX }, (_, i) => i % PATCH_PACKS_MAX),
        references: Uint16Array.from({ length: PACK_PAGES_MAX }, (_, i) => 4095 - (i % 2)),
      },
    };
    const bytes = encodePackRewritten(largest, 4);
    expect(bytes.length).toBeLessThan(EVENT_BYTES_MAX);
    expect(decode(bytes, 4)).toEqual(either.right(withOneList(largest)));
  });

  test('that claim more than a pack has are refused before they are made', () => {
    const data = new ColumnWriter()
      .raw(new Uint8Array(32))
      .number(4096)
      .text('a-group')
      .number(1)
      .names(['ab'.repeat(32)])
      .number(5120)
      .column(new Uint8Array(5120), BYTES)
      .column(new Uint8Array(5120).fill(64), BYTES)
      .numbers(new Uint32Array(5120).fill(1))
      .raw(Uint8Array.of(1))
      .bytes();
    expect(decode(data, 4)).toMatchObject({
      left: { message: expect.stringContaining('327680 pages in 5120 blocks') },
    });
  });
});

describe('the columns of a rewritten pack of schema 3', () => {
  test.each([
    ['no slot', 32, 0],
    ['more slots than a pack has', 32, 6000],
    ['more blocks than slots', 36, 100],
    ['no home', 44, 0],
    ['more homes than slots', 44, 100],
    ['another length', 40, 1],
  ])('that claim %s are refused', (_what, at, value) => {
    const pack = makePack({ seed: 1, contents: 50, patterns: 0, sources: 2, isPatched: false });
    const bytes = encodePackRewritten(pack, 3);
    new DataView(bytes.buffer).setUint32(at, value, true);
    expect(decode(bytes, 3)).toMatchObject(CODE);
  });

  test('that name a home that is not listed are refused', () => {
    const pack = makePack({ seed: 1, contents: 50, patterns: 0, sources: 2, isPatched: false });
    const bytes = encodePackRewritten({ ...pack, sourceIndexes: pack.sourceIndexes.fill(2) }, 3);
    expect(decode(bytes, 3)).toMatchObject(CODE);
  });
});
