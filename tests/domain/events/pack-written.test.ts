import { describe, expect, test } from '@jest/globals';
import * as either from 'fp-ts/lib/Either.js';
import fc from 'fast-check';
import { CODEC_SALTED } from '../../../domain/values/block-salt.ts';
import {
  blockStarts,
  contentSlotsOf,
  CODEC_PACKED,
  PACK_HEADER_BYTES,
  PACK_NAME,
  packHeader,
  PACKED_PAGES_MAX,
  sliceBlocks,
} from '../../../domain/values/pack.ts';
import {
  decodePackWritten,
  encodePackWritten,
  packSlotsOf,
  type PackWritten,
} from '../../../domain/events/pack-written.ts';
import { BLOCK_BYTES, EVENT_BYTES_MAX, PACK_PAGES_MAX } from '../../../domain/values/page.ts';
import { IDENTIFIER_BYTES } from '../../../domain/ports/page-engine.ts';
import { areRuns, GrowingRuns, NO_RUNS } from '../../../domain/values/slot-runs.ts';
import { isGroupName } from '../../../domain/events/streams.ts';
import { NO_PATCHES } from '../../../domain/events/patches.ts';
import { damaged, packWritten } from '../../support/arbitraries.ts';
import { triesOf } from '../../support/long-run.ts';

const read = (data: Uint8Array, schema: number) => decodePackWritten({ schema, data });

/** What is said of a pack that does not fit, as either form has it. */
function reasonOf(pack: PackWritten, schema: number): string {
  const found = read(encodePackWritten(pack, schema), schema);
  if (either.isRight(found)) return 'it was read';
  expect(found.left.code).toBe('EVENT_INVALID');
  return found.left.message;
}

/** The largest pack: as many blocks as pages, each of them a raw page. */
function largestPack(): PackWritten {
  const blocks = {
    codecs: new Uint8Array(PACK_PAGES_MAX),
    pages: new Uint8Array(PACK_PAGES_MAX).fill(1),
    lengths: new Uint32Array(PACK_PAGES_MAX).fill(4096),
    checksums: new Uint32Array(PACK_PAGES_MAX).fill(0xffff_ffff),
  };
  return {
    name: 'fe'.repeat(32),
    capture: 2 ** 32 - 1,
    group: 'g'.repeat(63),
    sizeBytes: PACK_HEADER_BYTES + PACK_PAGES_MAX * 4096,
    blocks,
    identifiers: new Uint8Array(PACK_PAGES_MAX * IDENTIFIER_BYTES).fill(0xab),
    patches: NO_PATCHES,
  };
}

/** Whether a table that was read says what its pack holds. */
function isBounded(pack: PackWritten): boolean {
  const { slots, offsets } = blockStarts(pack.blocks);
  const isWhole = slots.at(-1) === packSlotsOf(pack) && offsets.at(-1) === pack.sizeBytes;
  return isWhole && PACK_NAME.test(pack.name) && isGroupName(pack.group);
}

describe.each([4, 5])('the event of a pack, of schema %i', (schema) => {
  test('reads back as it was written', () => {
    fc.assert(
      fc.property(packWritten, (pack) => {
        expect(read(encodePackWritten(pack, schema), schema)).toEqual(either.right(pack));
      }),
      { numRuns: triesOf(200) },
    );
  });

  test('of the largest pack fits one event', () => {
    const bytes = encodePackWritten(largestPack(), schema);
    expect(bytes.length).toBeLessThanOrEqual(EVENT_BYTES_MAX);
    expect(read(bytes, schema)).toEqual(either.right(largestPack()));
  });

  test('takes little beside identifiers where it is short', () => {
    const pack = largestPack();
    const bytes = encodePackWritten(pack, schema).length - pack.identifiers.length;
    expect(bytes).toBe(
      schema === 4
        ? 112 + PACK_PAGES_MAX * 10
        : 32 + 5 + 4 + 64 + 2 + 2 * 4 + PACK_PAGES_MAX * 6 + 2 + 2,
    );
  });

  test('damaged is read as a table within its bounds, or refused', () => {
    fc.assert(
      fc.property(
        packWritten.chain((pack) => damaged(encodePackWritten(pack, schema))),
        (bytes) => {
          const found = read(bytes, schema);
          expect(either.isLeft(found) ? found.left.code : isBounded(found.right)).toBe(
            either.isLeft(found) ? 'EVENT_INVALID' : true,
          );
        },
      ),
      { numRuns: triesOf(300) },
    );
  });

  test.each<[string, (pack: PackWritten) => PackWritten]>([
    ['no page', (pack) => ({ ...pack, identifiers: new Uint8Array(0) })],
    [
      'more pages than a pack has',
      (pack) => ({ ...pack, identifiers: new Uint8Array((PACK_PAGES_MAX + 1) * 32) }),
    ],
    [
      'blocks of other pages than it has',
      (pack) => ({ ...pack, identifiers: pack.identifiers.subarray(32) }),
    ],
    ['blocks that end elsewhere', (pack) => ({ ...pack, sizeBytes: pack.sizeBytes + 1 })],
    ['a group that could be a path', (pack) => ({ ...pack, group: '../keys' })],
    ['no group', (pack) => ({ ...pack, group: '' })],
  ])('is refused with %s', (_, change) => {
    expect(reasonOf(change(largestPack()), schema)).toContain('malformed');
  });

  test.each<[string, (pack: PackWritten) => void]>([
    ['an unknown codec', ({ blocks }) => blocks.codecs.fill(4, 9, 10)],
    ['no page', ({ blocks }) => blocks.pages.fill(0, 9, 10)],
    ['too many pages', ({ blocks }) => blocks.pages.fill(65, 9, 10)],
    [
      'too many packed pages',
      ({ blocks }) => {
        blocks.codecs.fill(CODEC_PACKED | CODEC_SALTED, 9, 10);
        blocks.pages.fill(PACKED_PAGES_MAX + 1, 9, 10);
      },
    ],
    ['no byte', ({ blocks }) => blocks.lengths.fill(0, 9, 10)],
    ['more bytes than its pages', ({ blocks }) => blocks.lengths.fill(BLOCK_BYTES + 1, 9, 10)],
  ])('is refused where a block has %s', (_, change) => {
    const pack = largestPack();
    change(pack);
    expect(reasonOf(pack, schema)).toContain('block 9');
  });

  test.each([
    [4, 'block 9 has 4 bytes'],
    [4097, 'its blocks end at'],
    [4100, 'its blocks end at'],
    [4101, 'block 9 has 4101 bytes'],
  ])('bounds a salted block of a page and %i bytes', (length, reason) => {
    const pack = largestPack();
    pack.blocks.codecs.fill(CODEC_SALTED, 9, 10);
    pack.blocks.lengths.fill(length, 9, 10);
    expect(reasonOf(pack, schema)).toContain(reason);
  });

  test('is refused where contents come after patterns, salted or not', () => {
    for (const [patterns, contents] of [
      [2, 0],
      [2 | CODEC_SALTED, 0],
      [2, CODEC_SALTED],
    ] as const) {
      const pack = largestPack();
      pack.blocks.codecs.fill(patterns, 8, 9).fill(contents, 9, 10);
      expect(reasonOf(pack, schema)).toContain('block 9 holds contents after patterns');
    }
  });
});

describe('the event of a pack in which slots are held large', () => {
  const runs = fc.uniqueArray(fc.nat({ max: 39 })).map((slots) => {
    const growing = new GrowingRuns();
    for (const slot of slots.toSorted((a, b) => a - b)) growing.add(slot);
    return growing.runs;
  });
  const largePack = fc.tuple(packWritten, runs).map(([pack, large]) => ({ ...pack, large }));
  const isWithin = (pack: PackWritten): boolean =>
    areRuns(pack.large ?? NO_RUNS, contentSlotsOf(pack.blocks));

  test('reads back as it was written, where they are contents of it', () => {
    fc.assert(
      fc.property(largePack, (pack) => {
        const { large, ...plain } = pack;
        const found = read(encodePackWritten(pack, 6), 6);
        const expected = large.length === 0 ? plain : pack;
        expect(either.isLeft(found) ? found.left.code : found.right).toEqual(
          isWithin(pack) ? expected : 'EVENT_INVALID',
        );
      }),
      { numRuns: triesOf(300) },
    );
  });

  test('damaged is read with slots within its bounds, or refused', () => {
    fc.assert(
      fc.property(
        largePack.filter(isWithin).chain((pack) => damaged(encodePackWritten(pack, 6))),
        (bytes) => {
          const found = read(bytes, 6);
          const isFit = either.isLeft(found) || (isBounded(found.right) && isWithin(found.right));
          expect(isFit).toBe(true);
        },
      ),
      { numRuns: triesOf(300) },
    );
  });

  test('refuses runs that touch', () => {
    const pack = { ...largestPack(), large: Uint16Array.of(0, 4, 4, 5) };
    expect(reasonOf(pack, 6)).toContain('no runs');
  });
});

describe("a pack's header", () => {
  test('names its group and bears the random bytes', () => {
    const header = packHeader({ group: 'default', random: new Uint8Array(16).fill(7) });
    expect(header.length).toBe(PACK_HEADER_BYTES);
    expect(Buffer.from(header.subarray(0, 4)).toString()).toBe('PLPK');
    expect(Buffer.from(header.subarray(8, 72)).toString()).toBe(`default${'\0'.repeat(57)}`);
    expect([...header.subarray(72, 88)]).toEqual(Array.from({ length: 16 }, () => 7));
    expect([...header.subarray(88)]).toEqual(Array.from({ length: 8 }, () => 0));
  });
});

describe('a table of blocks', () => {
  const blocks = {
    codecs: Uint8Array.of(0, 1, 1),
    pages: Uint8Array.of(4, 4, 1),
    lengths: Uint32Array.of(100, 50, 7),
    checksums: Uint32Array.of(1, 2, 3),
  };

  test('says where each block starts, in slots and in bytes', () => {
    const { slots, offsets } = blockStarts(blocks);
    expect([...slots]).toEqual([0, 4, 8, 9]);
    expect([...offsets]).toEqual([96, 196, 246, 253]);
  });

  test('is cut by rows', () => {
    expect(sliceBlocks(blocks, 1, 2)).toEqual({
      codecs: Uint8Array.of(1),
      pages: Uint8Array.of(4),
      lengths: Uint32Array.of(50),
      checksums: Uint32Array.of(2),
    });
  });
});
