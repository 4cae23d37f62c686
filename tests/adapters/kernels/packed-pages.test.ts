// Packed pages: the kernels against the slow reader of the format, over sound blocks and damaged ones.

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { goldenBytes } from '../../support/golden/golden-capture.ts';
import { GOLDEN_BLOCKS } from '../../support/golden/packed-golden.ts';
import { fixedTables, unpackSlowly } from '../../support/packs/packed-pages.ts';
import { PagePacker } from '../../support/packs/page-packer.ts';
import { mixedImage, numbers, randomBytes, textBytes } from './random-pages.ts';
import { triesOf } from '../../support/long-run.ts';

/** Literals as they are; coded where that saves much; and where it saves so little that it nearly always does. */
const SHIFTS = [0, 4, 6] as const;
const MUTATIONS = Number(process.env['PAGELEDGER_MUTATIONS'] ?? 200);
const tables = fixedTables();
const same = (a: Uint8Array | null, b: Uint8Array | null): boolean =>
  a === null || b === null ? a === b : Buffer.compare(a, b) === 0;

/** Pages as a guest has them: records with pointers and counters, text, runs of one byte, noise. */
function guestPages(pages: number, seed: number): Uint8Array {
  const next = numbers(seed);
  const image = new Uint8Array(pages * PAGE_BYTES);
  const view = new DataView(image.buffer);
  for (let at = 0; at < image.length;) {
    const length = Math.min(image.length - at, 16 + (next() % 700));
    const kind = next() % 6;
    if (kind === 0) image.set(randomBytes(length, next() | 1), at);
    else if (kind === 1) image.set(textBytes(length, next() | 1), at);
    else if (kind === 2) image.fill(next(), at, at + length);
    else if (kind === 3 && at > length) image.copyWithin(at, at - length, at);
    else if (kind === 4) {
      const record = 8 * (1 + (next() % 12));
      for (let to = at; to + 8 <= at + length; to += record) {
        view.setUint32(to, 0xc0de_0000 + (next() % 4096), true);
        view.setUint32(to + 4, 0x7f3a, true);
      }
    }
    at += length;
  }
  return image;
}

/** A block damaged in one of many ways. */
function damaged(block: Uint8Array, next: () => number): Uint8Array {
  const bytes = block.slice();
  const any = (below: number): number => next() % below;
  switch (any(7)) {
    case 0:
      for (let flips = 1 + any(8); flips > 0; flips -= 1) bytes[any(bytes.length)]! ^= 1 << any(8);
      return bytes;
    case 1:
      for (let changes = 1 + any(40); changes > 0; changes -= 1)
        bytes[any(bytes.length)] = any(256);
      return bytes;
    case 2:
      return bytes.subarray(0, any(bytes.length));
    case 3:
      return randomBytes(1 + any(bytes.length), next() | 1);
    case 4:
      for (let at = 0; at < Math.min(14, bytes.length); at += 1)
        if (any(3) === 0) bytes[at] = any(256);
      return bytes;
    case 5: {
      const length = any(bytes.length);
      bytes.copyWithin(any(bytes.length - length), any(bytes.length - length), length);
      return bytes;
    }
    default: {
      const from = any(bytes.length);
      for (let at = from; at < Math.min(bytes.length, from + 60); at += 1)
        bytes[at] = [0, 255, 224, 28, 227, 3][any(6)]!;
      return bytes;
    }
  }
}

describe('packed pages', () => {
  const packer = new PagePacker(0xa5);

  test('are the pages again, by the kernel and by the book', () => {
    const seeds = fc.record({
      pages: fc.integer({ min: 1, max: 15 }),
      seed: fc.integer({ min: 1 }),
      shift: fc.constantFrom(...SHIFTS),
      isMixed: fc.boolean(),
    });
    fc.assert(
      fc.property(seeds, ({ pages, seed, shift, isMixed }) => {
        const content = isMixed ? mixedImage(pages, seed) : guestPages(pages, seed);
        const packed = packer.pack(content, shift);
        expect(same(packer.unpack(packed, pages), content)).toBe(true);
        expect(pages > 4 || same(unpackSlowly(packed, pages, tables), content)).toBe(true);
      }),
      { numRuns: triesOf(60) },
    );
  });

  test.each([
    ['zeros', new Uint8Array(4 * PAGE_BYTES)],
    ['noise', randomBytes(4 * PAGE_BYTES, 3)],
    ['text', textBytes(4 * PAGE_BYTES, 4)],
  ])('may be %s', (_, content) => {
    for (const shift of SHIFTS) {
      const packed = packer.pack(content, shift);
      expect(same(packer.unpack(packed, 4), content)).toBe(true);
      expect(same(unpackSlowly(packed, 4, tables), content)).toBe(true);
    }
  });

  test('are the same bytes whatever was packed before', () => {
    const content = guestPages(4, 7);
    const first = packer.pack(content, 4);
    packer.pack(guestPages(15, 8), 4);
    expect(same(packer.pack(content, 4), first)).toBe(true);
    expect(same(new PagePacker(0x3c).pack(content, 4), first)).toBe(true);
  });

  test('are refused for another number of pages', () => {
    const packed = packer.pack(guestPages(3, 9), 4);
    for (const pages of [0, 1, 2, 4, 15, 16]) expect(packer.unpack(packed, pages)).toBeNull();
  });

  test('are by the book, or refused by it, however they are damaged; nothing else is touched', () => {
    const twin = new PagePacker(0x3c);
    const next = numbers(10);
    let sound = 0;
    for (let i = 0; i < MUTATIONS; i += 1) {
      const pages = 1 + (next() % 2);
      const block = packer.pack(guestPages(pages, next() | 1), SHIFTS[i % 3]!);
      const bytes = damaged(block, next);
      const found = packer.unpack(bytes, pages);
      expect(same(twin.unpack(bytes, pages), found)).toBe(true);
      expect(same(unpackSlowly(bytes, pages, tables), found)).toBe(true);
      if (found !== null) sound += 1;
    }
    // Most damage to literals is not seen here: that is what a block's checksum is for.
    expect(sound).toBeGreaterThan(MUTATIONS / 50);
    expect(sound).toBeLessThan(MUTATIONS);
  });
});

describe('golden packed pages', () => {
  const packer = new PagePacker(0x5a);
  const all = GOLDEN_BLOCKS.flatMap(({ files, pages }) => files.map((file) => ({ file, pages })));

  test.each(all)('$file: the pages that they were', ({ file, pages }) => {
    const packed = goldenBytes(`packed-pages-1/${file}`);
    const count = pages.length / PAGE_BYTES;
    expect(same(unpackSlowly(packed, count, tables), pages)).toBe(true);
    expect(same(packer.unpack(packed, count), pages)).toBe(true);
  });

  test.each(GOLDEN_BLOCKS)('$files: the last is what is written today', (block) => {
    const { files, pages, literalShift } = block;
    const packed = packer.pack(pages, literalShift);
    expect(same(packed, goldenBytes(`packed-pages-1/${files.at(-1)}`))).toBe(true);
  });

  test('hold each kind of coding: of a table, of one that is sent, of none', () => {
    const modes = new Set<string>();
    for (const { file } of all) {
      const bytes = goldenBytes(`packed-pages-1/${file}`);
      // Behind the form stand four numbers, each up to a byte without the top bit.
      let at = 1;
      for (let numbersLeft = 4; numbersLeft > 0; at += 1) if (bytes[at]! < 128) numbersLeft -= 1;
      const literalMode = bytes[at + 2]!;
      modes.add(literalMode < 254 ? 'fixed' : ['sent', 'raw'][literalMode - 254]!);
    }
    expect([...modes].toSorted()).toEqual(['fixed', 'raw', 'sent']);
  });
});
