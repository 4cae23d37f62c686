// A pack of format 1 stays readable (tests/golden/pack-1): its blocks are the pages they were, and the
// pages have the identifiers they had. What is written may be compressed otherwise.

import { Blake3Hasher } from '@napi-rs/blake-hash';
import { describe, expect, test } from '@jest/globals';
import { checkTable, decodeBlockAt } from '../../../adapters/kernels/codec/codec.ts';
import { identifierAt } from '../../support/page-oracle.ts';
import { PACK_HEADER_BYTES } from '../../../domain/values/pack.ts';
import { decodePackWritten } from '../../../domain/events/pack-written.ts';
import {
  GOLDEN_KEY,
  GOLDEN_PACK,
  GOLDEN_PAGES,
  goldenBytes,
} from '../../support/golden-capture.ts';

const { blocks } = GOLDEN_PACK;
const run = {
  bytes: goldenBytes(`pack-1/${GOLDEN_PACK.name}`).subarray(PACK_HEADER_BYTES),
  blocks,
  label: 'the golden pack',
};

describe('a pack of format 1', () => {
  test('holds the pages that it held, raw and compressed', () => {
    expect(checkTable(run)).toBe(GOLDEN_PAGES.length);
    const pages: Uint8Array[] = [];
    let offsetBytes = 0;
    for (let block = 0; block < blocks.lengths.length; block += 1) {
      pages.push(decodeBlockAt(run, { block, offsetBytes }));
      offsetBytes += blocks.lengths[block]!;
    }
    expect(Buffer.concat(pages).equals(Buffer.concat(GOLDEN_PAGES))).toBe(true);
  });

  test('is recorded with the keyed BLAKE3 of each page', () => {
    const read = decodePackWritten(goldenBytes('events-1/PackWritten.bin'));
    if (read._tag === 'Left') throw read.left;
    const recorded = GOLDEN_PAGES.map((_, slot) => identifierAt(read.right.identifiers, slot));
    const keyed = GOLDEN_PAGES.map((page) => {
      const hasher = Blake3Hasher.newKeyed(Buffer.from(GOLDEN_KEY));
      return hasher.update(Buffer.from(page)).digestBuffer().toString('hex');
    });
    expect(recorded).toEqual(keyed);
  });
});
