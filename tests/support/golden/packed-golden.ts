// The golden blocks of packed pages: what they are packed from, and how. The files are what a version
// wrote and are only ever added to; a packer that finds other matches writes other bytes.

import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { makeImage } from '../images.ts';

export interface GoldenBlock {
  /** The newest last: what is written today. */
  readonly files: readonly string[];
  readonly pages: Uint8Array;
  readonly literalShift: number;
}

/** Pages of an image: words and numbers, and of so many parts in ten noise. */
const stretch = (seed: number, pages: number, noise: number): Uint8Array =>
  makeImage({
    seed,
    pages,
    mix: { zero: 0, text: 9 - noise, random: noise, repeated: 0, duplicate: 1 },
  });

/** Bytes of a few values, evenly: no fixed table is made for them. */
function evenBytes(values: readonly number[], pages: number): Uint8Array {
  let state = 7;
  return Uint8Array.from({ length: pages * PAGE_BYTES }, () => {
    state = Math.imul(state, 48_271) % 0x7fff_ffff;
    return values[Math.abs(state >> 8) % values.length]!;
  });
}

export const GOLDEN_BLOCKS: readonly GoldenBlock[] = [
  { files: ['one-page.bin', 'one-page-2.bin'], pages: stretch(1, 1, 0), literalShift: 4 },
  { files: ['four-pages.bin', 'four-pages-2.bin'], pages: stretch(2, 4, 0), literalShift: 4 },
  {
    files: ['four-pages-fast.bin', 'four-pages-fast-2.bin'],
    pages: stretch(2, 4, 0),
    literalShift: 0,
  },
  {
    files: ['fifteen-pages.bin', 'fifteen-pages-2.bin'],
    pages: stretch(3, 15, 4),
    literalShift: 4,
  },
  {
    files: ['sent-table.bin', 'sent-table-2.bin'],
    pages: evenBytes([7, 43, 59, 88, 99, 127, 130, 141, 157, 162, 183, 198, 211, 233, 244], 2),
    literalShift: 4,
  },
];
