// LZO1X: what a writer made of bytes is these bytes again, and anything else is refused, within its room.

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { unlzo } from '../../../../adapters/guests/dumps/lzo.ts';
import { lzoOf } from '../../../support/guest/lzo-bytes.ts';
import { triesOf } from '../../../support/long-run.ts';

/** Pieces that repeat, near and far, so that every kind of copy comes about. */
const repeating = fc
  .array(
    fc.record({
      piece: fc.uint8Array({ minLength: 1, maxLength: 40 }),
      times: fc.constantFrom(1, 1, 2, 30, 500),
    }),
    { minLength: 1, maxLength: 12 },
  )
  .map((pieces) => {
    const all = pieces.flatMap(({ piece, times }) => Array.from({ length: times }, () => piece));
    return Buffer.concat([...all, ...pieces.map(({ piece }) => piece), ...all.slice(0, 3)]);
  });

const unpacked = (data: Uint8Array, room: number): Uint8Array | null => {
  const out = new Uint8Array(room);
  const count = unlzo(data, out);
  return count === null ? null : out.subarray(0, count);
};

describe('bytes that were compressed with lzo', () => {
  test('come back as they were', () => {
    fc.assert(
      fc.property(repeating, (bytes) => {
        const found = unpacked(lzoOf(bytes), bytes.length);
        expect(found !== null && bytes.equals(found)).toBe(true);
      }),
      { numRuns: triesOf(200) },
    );
  });

  test('are those of its description, instruction by instruction', () => {
    const text = (data: readonly number[], room = 70_000): string | null => {
      const found = unpacked(Uint8Array.from(data), room);
      return found === null ? null : Buffer.from(found).toString('latin1');
    };
    const abcd = [...Buffer.from('abcd')];
    expect(text([17, 0, 0])).toBe('');
    expect(text([17 + 4, ...abcd, 17, 0, 0])).toBe('abcd');
    expect(text([1, ...abcd, 17, 0, 0])).toBe('abcd');
    // A copy of 3 from 4 back, and one literal behind it; then one of 2 from 1 back.
    expect(text([21, ...abcd, 0x4d, 0, 0x65, 0, 0, 17, 0, 0])).toBe('abcdabceee');
    // 40 of them from 1 back.
    expect(text([18, 0x61, 0x20, 7, 0, 0, 17, 0, 0])).toBe('a'.repeat(41));
    // After a run: 3 from 2,049 back.
    const run = Array.from({ length: 2049 }, (_, i) => 97 + (i % 26));
    const long = [0, ...Array.from({ length: 7 }, () => 0), 2049 - 18 - 7 * 255, ...run];
    expect(text([...long, 0, 0, 17, 0, 0])?.slice(2049)).toBe('abc');
    // The farthest: 9 from 16,384 + 2 back.
    const far = Array.from({ length: 16_386 }, (_, i) => 97 + (i % 26));
    const zeros = Math.floor((far.length - 18 - 1) / 255);
    const farRun = [0, ...Array.from({ length: zeros }, () => 0), far.length - 18 - 255 * zeros];
    expect(text([...farRun, ...far, 0x17, 8, 0, 17, 0, 0])?.slice(far.length)).toBe('abcdefghi');
  });

  test('that are more than their room are refused', () => {
    const bytes = new Uint8Array(4096).fill(7);
    expect(unpacked(lzoOf(bytes), 4095)).toBeNull();
    expect(unpacked(Uint8Array.from([0, ...Array.from({ length: 10_000 }, () => 0)]), 4096)).toBe(
      null,
    );
  });

  test('that are spoiled are refused, or other bytes within their room', () => {
    const sound = lzoOf(Buffer.from('a guest and a guest and a host, and so on and on and on'));
    fc.assert(
      fc.property(fc.nat(sound.length - 1), fc.nat(255), fc.nat(60), (at, byte, room) => {
        const spoiled = sound.slice();
        spoiled[at] = byte;
        for (const data of [spoiled, spoiled.subarray(0, at), Buffer.concat([spoiled, sound])]) {
          const found = unpacked(data, room);
          expect(found === null || found.length <= room).toBe(true);
        }
      }),
      { numRuns: triesOf(2000) },
    );
    for (let end = 0; end < sound.length; end += 1)
      expect(unpacked(sound.subarray(0, end), 60)).toBeNull();
    expect(unpacked(Buffer.concat([sound, Buffer.of(0)]), 60)).toBeNull();
  });
});
