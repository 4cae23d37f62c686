import { crc32 } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  CODEC_SALTED,
  codecOf,
  SALT_BYTES,
  saltBytesOf,
  saltedChecksum,
  unsalted,
} from '../../../domain/values/block-salt.ts';
import { CODEC_PATTERN, CODEC_RAW, CODEC_ZSTD } from '../../../domain/values/pack.ts';

const salt = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const saltBytes = (of: number): Uint8Array => new Uint8Array(Uint32Array.of(of).buffer);

describe('a salted block', () => {
  test('has the CRC-32 of its bytes and its salt', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), salt, (bytes, of) => {
        const expected = crc32(Buffer.concat([bytes, saltBytes(of)]));
        expect(saltedChecksum(crc32(bytes), of)).toBe(expected);
      }),
    );
  });

  test('has another checksum with every other salt, so any of them', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), salt, salt, (bytes, a, b) => {
        const checksum = crc32(bytes);
        expect(saltedChecksum(checksum, a) === saltedChecksum(checksum, b)).toBe(a === b);
      }),
    );
  });

  test.each([CODEC_RAW, CODEC_ZSTD, CODEC_PATTERN])('is of codec %i like one without', (codec) => {
    expect([codecOf(codec), codecOf(codec | CODEC_SALTED)]).toEqual([codec, codec]);
    expect([saltBytesOf(codec), saltBytesOf(codec | CODEC_SALTED)]).toEqual([0, SALT_BYTES]);
  });

  test('is what is before its salt, and nothing where it is too short for one', () => {
    const bytes = Uint8Array.of(1, 2, 3, 4, 5, 6);
    expect(unsalted(bytes, CODEC_RAW)).toEqual(bytes);
    expect(unsalted(bytes, CODEC_RAW | CODEC_SALTED)).toEqual(Uint8Array.of(1, 2));
    expect(unsalted(bytes.subarray(0, 3), CODEC_RAW | CODEC_SALTED)).toHaveLength(0);
  });
});
