import { expect, test } from '@jest/globals';
import { compress as packageCompress } from '@cloudpss/zstd/wasm';
import { compress, decompress } from '../../../../adapters/kernels/codec/zstd.ts';
import { PAGE_BYTES } from '../../../../domain/values/page.ts';
import { mixedImage, randomBytes } from '../random-pages.ts';

const LEVELS = [1, 3, 15, 19];
const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

/** Blocks of 1 to 32 pages, small after large ones, so that rooms are used again. */
function* blocks(): Generator<Uint8Array> {
  const image = mixedImage(64, 7);
  for (const pages of [4, 1, 32, 2, 16]) {
    yield image.subarray(0, pages * PAGE_BYTES);
    yield randomBytes(pages * PAGE_BYTES, pages);
  }
}

test('frames are those that the package makes, at every level, and come back', () => {
  for (const level of LEVELS)
    for (const block of blocks()) {
      const frame = compress(block, level);
      expect(same(frame, packageCompress(block, level))).toBe(true);
      expect(same(decompress(frame, block.byteLength), block)).toBe(true);
    }
});

test('what is given out stays as it is when more is packed', () => {
  const [first, second] = [...blocks()];
  const frame = compress(first!, 1);
  const copy = frame.slice();
  compress(second!, 1);
  expect(same(frame, copy)).toBe(true);
});

test('a frame of more than there is room for, and bytes that are none, are refused by name', () => {
  const [block] = [...blocks()];
  const frame = compress(block!, 1);
  expect(() => decompress(frame, PAGE_BYTES)).toThrow('Destination buffer is too small');
  expect(() => decompress(randomBytes(64, 3), PAGE_BYTES)).toThrow(RangeError);
  expect(same(decompress(frame, block!.byteLength), block!)).toBe(true);
});
