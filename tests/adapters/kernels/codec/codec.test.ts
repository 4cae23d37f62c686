import { crc32 } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { compress } from '@cloudpss/zstd/wasm';
import {
  BlockCodec,
  CODEC_BYTES,
  type EncodedBlock,
  type StoredBlock,
} from '../../../../adapters/kernels/codec/codec.ts';
import { loadKernels } from '../../../../adapters/kernels/engine/kernels.ts';
import { createPageEngine } from '../../../../adapters/kernels/engine/page-engine.ts';
import { isLedgerError } from '../../../../domain/values/ledger-error.ts';
import type { LedgerError } from '../../../../domain/values/ledger-error.ts';
import { CODEC_SALTED } from '../../../../domain/values/block-salt.ts';
import {
  CODEC_PACKED,
  CODEC_PATTERN,
  CODEC_RAW,
  CODEC_ZSTD,
  PACKED_PAGES_MAX,
} from '../../../../domain/values/pack.ts';
import { BLOCK_BYTES, BLOCK_PAGES, PAGE_BYTES } from '../../../../domain/values/page.ts';
import { describe as describePage } from '../../../../domain/patterns/index.ts';
import { blockCodec } from '../../../support/packs/block-codec.ts';
import { mixedImage, numbers, randomBytes, textBytes } from '../random-pages.ts';
import { triesOf } from '../../../support/long-run.ts';

const PLACE = { label: 'pack abc', block: 7, offsetBytes: 4711 };
const engine = createPageEngine({ threads: 0 });

const codecOfBlocks = blockCodec();
const ZSTD = { codec: CODEC_ZSTD, level: 1 } as const;
const PACKED = { codec: CODEC_PACKED } as const;
const COMPRESSIONS = [
  ['packed', PACKED],
  ['zstd', ZSTD],
] as const;

/** A block of its own: what a codec gives is valid until the next one. */
function encodeBlock(pages: Uint8Array, how: typeof ZSTD | typeof PACKED = ZSTD): EncodedBlock {
  const block = codecOfBlocks.encode(pages, how);
  return { ...block, bytes: block.bytes.slice() };
}

const decodeBlock = (block: StoredBlock, place: typeof PLACE): Uint8Array =>
  codecOfBlocks.decode(block, { place }).slice();

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

function refusal(decode: () => unknown): LedgerError {
  try {
    decode();
  } catch (error) {
    if (isLedgerError(error)) return error;
    throw error;
  }
  throw new RangeError('it was decoded');
}

/** The code of a refusal, or how many bytes came out. */
function outcomeOf(decode: () => Uint8Array): string {
  try {
    return `${decode().byteLength} bytes`;
  } catch (error) {
    if (isLedgerError(error)) return error.code;
    throw error;
  }
}

/** Decodes bytes whose checksum is right, so that what comes after it is tested. */
const decodeTrusted = (bytes: Uint8Array, pages: number): Uint8Array =>
  decodeBlock({ bytes, codec: CODEC_ZSTD, pages, checksum: crc32(bytes) }, PLACE);

describe('a block of pages', () => {
  test.each(COMPRESSIONS)('comes back as it was, compressed where that pays: %s', (_, how) => {
    const pages = textBytes(BLOCK_BYTES, 1);
    const block = encodeBlock(pages, how);
    expect(block.codec).toBe(how.codec);
    expect(block.bytes.byteLength).toBeLessThan(BLOCK_BYTES / 2);
    expect(same(decodeBlock({ ...block, pages: BLOCK_PAGES }, PLACE), pages)).toBe(true);
  });

  test.each(COMPRESSIONS)('is stored raw where compression does not pay: %s', (_, how) => {
    const pages = randomBytes(BLOCK_BYTES, 2);
    const block = encodeBlock(pages, how);
    expect(block.codec).toBe(CODEC_RAW);
    expect(same(block.bytes, pages)).toBe(true);
    expect(same(decodeBlock({ ...block, pages: BLOCK_PAGES }, PLACE), pages)).toBe(true);
  });

  test.each(COMPRESSIONS)('is raw also where compression saves only a little: %s', (_, how) => {
    const pages = randomBytes(BLOCK_BYTES, 3);
    pages.fill(0, 0, 512);
    expect(encodeBlock(pages, how).codec).toBe(CODEC_RAW);
    pages.fill(0, 0, 2048);
    expect(encodeBlock(pages, how).codec).toBe(how.codec);
  });

  test('of any whole pages survives a round trip through the engine', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 13 }), fc.integer({ min: 1 }), (pages, seed) => {
        const image = mixedImage(pages, seed);
        const blocks = engine.encode(image);
        expect(blocks.pages.reduce((sum, count) => sum + count, 0)).toBe(pages);
        expect(blocks.lengths.length).toBe(Math.ceil(pages / BLOCK_PAGES));
        const back = engine.decode({ bytes: blocks.bytes, blocks, label: 'pack abc' });
        expect(same(back, image)).toBe(true);
      }),
      { numRuns: triesOf(40) },
    );
  });
});

describe('a damaged block', () => {
  const pages = textBytes(BLOCK_BYTES, 4);
  const block = encodeBlock(pages);

  test('is refused by its checksum whichever bit is flipped', () => {
    const next = numbers(5);
    for (let i = 0; i < 300; i += 1) {
      const bytes = block.bytes.slice();
      bytes[next() % bytes.length]! ^= 1 << (next() & 7);
      const error = refusal(() => decodeBlock({ ...block, bytes, pages: BLOCK_PAGES }, PLACE));
      expect(error.code).toBe('PACK_DAMAGED');
      expect(error.facts).toMatchObject(PLACE);
      expect(error.message).toContain('block 7 of pack abc, at offset 4711');
      expect(error.message).toContain(block.checksum.toString(16));
    }
  });

  test('gives its pages or a refusal, and nothing else, where the checksum was forged', () => {
    const next = numbers(6);
    for (let i = 0; i < 1500; i += 1) {
      const bytes = block.bytes.slice();
      for (let flips = 1 + (i % 3); flips > 0; flips -= 1)
        bytes[next() % Math.min(bytes.length, i % 2 === 0 ? 64 : bytes.length)]! ^=
          1 << (next() & 7);
      expect(outcomeOf(() => decodeTrusted(bytes, BLOCK_PAGES))).toMatch(
        new RegExp(`^(PACK_DAMAGED|${BLOCK_BYTES} bytes)$`, 'u'),
      );
    }
  });

  test('is refused wherever it is cut short', () => {
    for (let length = 0; length < block.bytes.length; length += 1) {
      const bytes = block.bytes.slice(0, length);
      expect(refusal(() => decodeTrusted(bytes, BLOCK_PAGES)).code).toBe('PACK_DAMAGED');
    }
  });

  test('is refused before decoding where it says it holds more than its pages', () => {
    const bomb = compress(new Uint8Array(64 * 1024 * 1024), 1);
    const error = refusal(() => decodeTrusted(bomb, BLOCK_PAGES));
    expect(error.facts).toMatchObject({
      found: `a zstd frame of ${64 * 1024 * 1024} bytes of content`,
      expected: `${BLOCK_BYTES}`,
    });
  });

  test('is refused where a second frame follows the first', () => {
    const bomb = compress(new Uint8Array(1024 * 1024), 1);
    const error = refusal(() => decodeTrusted(Buffer.concat([block.bytes, bomb]), BLOCK_PAGES));
    expect(error.facts['found']).toBe(`a zstd frame that ends at byte ${block.bytes.length}`);
  });

  test('is refused where it is of no known codec, or raw and of another length', () => {
    const raw = randomBytes(PAGE_BYTES, 9);
    const checksum = crc32(raw);
    const decode = (codec: number, count: number) => () =>
      decodeBlock({ bytes: raw, codec, pages: count, checksum }, PLACE);
    expect(refusal(decode(4, 1)).facts).toMatchObject({ found: 'codec 4' });
    expect(refusal(decode(CODEC_RAW, 2)).facts).toMatchObject({
      found: `${PAGE_BYTES} bytes of content`,
    });
    expect(refusal(decode(CODEC_RAW, 0)).facts).toMatchObject({ found: 'no page' });
  });

  test('is refused by the engine where the table does not account for the bytes', () => {
    const blocks = engine.encode(mixedImage(10, 11));
    const decode = (change: Partial<typeof blocks>) => () => {
      const table = { ...blocks, ...change };
      return engine.decode({ bytes: table.bytes, blocks: table, label: 'pack abc' });
    };
    expect(decode({})().byteLength).toBe(10 * PAGE_BYTES);
    const short = refusal(decode({ bytes: blocks.bytes.slice(0, -1) }));
    expect(short.facts['expected']).toContain(`${blocks.bytes.length - 1}`);
    const long = refusal(decode({ bytes: Buffer.concat([blocks.bytes, new Uint8Array(3)]) }));
    expect(long.facts['found']).toBe('3 bytes after the last block');
    const lengths = blocks.lengths.slice();
    lengths[1] = BLOCK_BYTES + 1;
    expect(refusal(decode({ lengths })).facts).toMatchObject({ block: 1 });
  });
});

describe('a damaged block of packed pages', () => {
  const pages = textBytes(BLOCK_BYTES, 14);
  const block = encodeBlock(pages, PACKED);
  const decode =
    (bytes: Uint8Array, count = BLOCK_PAGES) =>
    () =>
      decodeBlock({ bytes, codec: CODEC_PACKED, pages: count, checksum: crc32(bytes) }, PLACE);

  test('is refused by its checksum', () => {
    const bytes = block.bytes.slice();
    bytes[40]! ^= 1;
    const error = refusal(() => decodeBlock({ ...block, bytes, pages: BLOCK_PAGES }, PLACE));
    expect(error.facts).toMatchObject({ ...PLACE, expected: block.checksum.toString(16) });
  });

  test('is refused wherever it is cut short, and where it is of another number of pages', () => {
    for (let length = 0; length < block.bytes.length; length += 1)
      expect(refusal(decode(block.bytes.slice(0, length))).code).toBe('PACK_DAMAGED');
    for (const count of [1, 3, 5, PACKED_PAGES_MAX, PACKED_PAGES_MAX + 1, 64, 255])
      expect(refusal(decode(block.bytes, count)).code).toBe('PACK_DAMAGED');
  });

  test('is refused where it has more bytes than any such block, before they are read', () => {
    const error = refusal(decode(new Uint8Array(1024 * 1024), PACKED_PAGES_MAX));
    expect(error.facts['found']).toBe(
      `${1024 * 1024} bytes that stand for ${PACKED_PAGES_MAX * PAGE_BYTES}`,
    );
  });

  test('gives its pages or a refusal, and nothing else, where the checksum was forged', () => {
    const next = numbers(15);
    for (let i = 0; i < 1500; i += 1) {
      const bytes = block.bytes.slice();
      for (let flips = 1 + (i % 3); flips > 0; flips -= 1)
        bytes[next() % Math.min(bytes.length, i % 2 === 0 ? 24 : bytes.length)]! ^=
          1 << (next() & 7);
      expect(outcomeOf(decode(bytes))).toMatch(
        new RegExp(`^(PACK_DAMAGED|${BLOCK_BYTES} bytes)$`, 'u'),
      );
    }
  });
});

describe('blocks in the memory of the kernels', () => {
  const kernels = loadKernels({ arenaBytes: CODEC_BYTES + 3 * BLOCK_BYTES });
  const codec = new BlockCodec({ kernels, area: kernels.arena });
  const held = kernels.arena + CODEC_BYTES + BLOCK_BYTES;
  const at = (lengthBytes: number): Uint8Array => kernels.bytes.subarray(held, held + lengthBytes);

  test.each([
    ['packed', PACKED, textBytes(BLOCK_BYTES, 16)],
    ['zstd', ZSTD, textBytes(BLOCK_BYTES, 17)],
    ['raw', PACKED, randomBytes(BLOCK_BYTES, 18)],
  ] as const)('are coded from where they lie, which stays as it is: %s', (_, how, pages) => {
    const block = encodeBlock(pages, how);
    at(BLOCK_BYTES).set(pages);
    expect(same(codec.encode(at(BLOCK_BYTES), how).bytes, block.bytes)).toBe(true);
    expect(same(at(BLOCK_BYTES), pages)).toBe(true);
    at(block.bytes.length).set(block.bytes);
    const row = { ...block, bytes: at(block.bytes.length), pages: BLOCK_PAGES };
    expect(same(codec.decode(row, { place: PLACE }), pages)).toBe(true);
    expect(same(row.bytes, block.bytes)).toBe(true);
  });
});

describe('a salted block', () => {
  const text = textBytes(BLOCK_BYTES, 12);
  const salt = Uint8Array.of(1, 2, 3, 4);
  const salted = (bytes: Uint8Array, codec: number) => {
    const stored = Buffer.concat([bytes, salt]);
    return { bytes: stored, codec: codec | CODEC_SALTED, checksum: crc32(stored) };
  };

  test.each([
    ['raw', text, CODEC_RAW],
    ['compressed', encodeBlock(text).bytes, CODEC_ZSTD],
    ['packed', encodeBlock(text, PACKED).bytes, CODEC_PACKED],
  ] as const)('is decoded without its salt: %s', (_, bytes, codec) => {
    const block = { ...salted(bytes, codec), pages: BLOCK_PAGES };
    expect(same(decodeBlock(block, PLACE), text)).toBe(true);
    for (const wrong of [{ codec }, { bytes: block.bytes.subarray(0, -1) }]) {
      const of = { ...block, ...wrong };
      const forged = { ...of, checksum: crc32(of.bytes) };
      expect(refusal(() => decodeBlock(forged, PLACE)).code).toBe('PACK_DAMAGED');
    }
  });

  test.each([CODEC_RAW, CODEC_ZSTD, CODEC_PATTERN, CODEC_PACKED])(
    'of codec %i is refused where there is nothing but a salt, or a part of one',
    (codec) => {
      for (let length = 0; length <= salt.length; length += 1) {
        const bytes = salt.subarray(0, length);
        const block = { bytes, codec: codec | CODEC_SALTED, pages: 1, checksum: crc32(bytes) };
        expect(refusal(() => decodeBlock(block, PLACE)).code).toBe('PACK_DAMAGED');
      }
    },
  );

  test('may be its salt longer than its pages, and no more', () => {
    const raw = randomBytes(PAGE_BYTES, 13);
    const decode = (bytes: Uint8Array) => () => {
      const blocks = {
        codecs: Uint8Array.of(CODEC_RAW | CODEC_SALTED),
        pages: Uint8Array.of(1),
        lengths: Uint32Array.of(bytes.length),
        checksums: Uint32Array.of(crc32(bytes)),
      };
      return engine.decode({ bytes, blocks, label: 'pack abc' });
    };
    expect(same(decode(Buffer.concat([raw, salt]))(), raw)).toBe(true);
    const long = refusal(decode(Buffer.concat([raw, salt, salt.subarray(0, 1)])));
    expect(long.facts['found']).toBe(`${PAGE_BYTES + 5} stored bytes`);
  });
});

describe('a block of patterns', () => {
  const pages = [
    new Uint8Array(PAGE_BYTES).fill(0x6b),
    new Uint8Array(PAGE_BYTES).fill(9, 40),
    new Uint8Array(PAGE_BYTES).fill(0xaa, 0, 2000).fill(0xbb, 2000),
  ];
  const blocks = engine.encodePatterns(pages.map((page) => describePage(page).descriptor));
  const decode = (bytes: Uint8Array, count = pages.length): Uint8Array =>
    decodeBlock({ bytes, codec: CODEC_PATTERN, pages: count, checksum: crc32(bytes) }, PLACE);

  test('gives the pages that its descriptors describe', () => {
    expect([...blocks.codecs]).toEqual([CODEC_PATTERN]);
    expect(blocks.bytes.length).toBeLessThan(100);
    expect(Buffer.compare(decode(blocks.bytes), Buffer.concat(pages))).toBe(0);
  });

  test('is refused wherever it is cut short, goes on, or has another number of pages', () => {
    for (let length = 0; length < blocks.bytes.length; length += 1)
      expect(refusal(() => decode(blocks.bytes.slice(0, length))).code).toBe('PACK_DAMAGED');
    const longer = Buffer.concat([blocks.bytes, Uint8Array.of(0)]);
    expect(refusal(() => decode(longer)).facts['found']).toBe('1 bytes after its last descriptor');
    for (const count of [2, 4, 65, 255])
      expect(refusal(() => decode(blocks.bytes, count)).code).toBe('PACK_DAMAGED');
  });

  test('is refused, or gives pages of patterns, whatever its bytes are', () => {
    const next = numbers(12);
    for (let i = 0; i < 1500; i += 1) {
      const bytes = blocks.bytes.slice();
      for (let flips = 1 + (i % 3); flips > 0; flips -= 1)
        bytes[next() % bytes.length]! ^= 1 << (next() & 7);
      expect(outcomeOf(() => decode(bytes))).toMatch(
        new RegExp(`^(PACK_DAMAGED|${pages.length * PAGE_BYTES} bytes)$`, 'u'),
      );
    }
  });

  test('is refused without a word of what it holds', () => {
    const secret = new TextEncoder().encode('hunter'.repeat(8));
    const descriptor = Uint8Array.of(1, 6, 48, ...secret);
    const error = refusal(() => decode(Uint8Array.of(descriptor.length, 0, ...descriptor), 1));
    expect(error.code).toBe('PACK_DAMAGED');
    const said = JSON.stringify([error.message, error.facts]);
    expect(said).not.toContain('hunter');
    expect(said).not.toContain(Buffer.from('hunter').toString('hex'));
  });
});
