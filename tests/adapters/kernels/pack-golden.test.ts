// A pack of format 1 stays readable (tests/golden/pack-1, with salts pack-2, packed pack-3): its blocks are the pages
// they were, and the pages have the identifiers they had. What is written may be compressed otherwise.

import { Blake3Hasher } from '@napi-rs/blake-hash';
import { describe, expect, test } from '@jest/globals';
import { checkTable } from '../../../adapters/kernels/codec/codec.ts';
import { blockCodec } from '../../support/packs/block-codec.ts';
import { identifierAt } from '../../support/ledgers/page-oracle.ts';
import { PACK_HEADER_BYTES, slotsOf } from '../../../domain/values/pack.ts';
import { decodePackWritten, type PackWritten } from '../../../domain/events/pack-written.ts';
import {
  GOLDEN_KEY,
  GOLDEN_PACK,
  GOLDEN_PACKED_PACK,
  GOLDEN_PAGES,
  GOLDEN_SALTED_PACK,
  GOLDEN_SALTED_PAGES,
  goldenBytes,
} from '../../support/golden/golden-capture.ts';

const codec = blockCodec();

/** The pages of a golden pack. */
function pagesIn(folder: string, { name, blocks }: Omit<PackWritten, 'identifiers'>): Buffer {
  const bytes = goldenBytes(`${folder}/${name}`).subarray(PACK_HEADER_BYTES);
  const run = { bytes, blocks, label: 'the golden pack' };
  const pages: Uint8Array[] = [];
  let offsetBytes = 0;
  expect(checkTable(run)).toBe(slotsOf(blocks));
  for (let block = 0; block < blocks.lengths.length; block += 1) {
    pages.push(codec.decodeAt(run, { block, offsetBytes }).slice());
    offsetBytes += blocks.lengths[block]!;
  }
  return Buffer.concat(pages);
}

describe('a pack of format 1', () => {
  test('holds the pages that it held, raw and compressed', () => {
    expect(pagesIn('pack-1', GOLDEN_PACK).equals(Buffer.concat(GOLDEN_PAGES))).toBe(true);
  });

  test('holds the pages that it held, raw, compressed and a pattern, each block salted', () => {
    const pages = pagesIn('pack-2', GOLDEN_SALTED_PACK);
    expect(pages.equals(Buffer.concat(GOLDEN_SALTED_PAGES))).toBe(true);
  });

  test('holds the pages that it held, packed', () => {
    const pages = pagesIn('pack-3', GOLDEN_PACKED_PACK);
    expect(pages.equals(Buffer.concat(GOLDEN_SALTED_PAGES))).toBe(true);
  });

  test('is recorded with the keyed BLAKE3 of each page', () => {
    const read = decodePackWritten({ schema: 4, data: goldenBytes('events-1/PackWritten.bin') });
    if (read._tag === 'Left') throw read.left;
    const recorded = GOLDEN_PAGES.map((_, slot) => identifierAt(read.right.identifiers, slot));
    const keyed = GOLDEN_PAGES.map((page) => {
      const hasher = Blake3Hasher.newKeyed(Buffer.from(GOLDEN_KEY));
      return hasher.update(Buffer.from(page)).digestBuffer().toString('hex');
    });
    expect(recorded).toEqual(keyed);
  });
});
