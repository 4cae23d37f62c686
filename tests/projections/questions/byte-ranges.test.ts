import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { hexLines } from '../../../adapters/faces/cli/hex-view.ts';
import { differingRanges } from '../../../projections/questions/byte-ranges.ts';
import { PairSet } from '../../../projections/questions/pair-set.ts';
import { triesOf } from '../../support/long-run.ts';

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length, max: 2 });

describe('ranges of differing bytes', () => {
  test('turn the one into the other, begin and end with a difference, and lie apart', () => {
    fc.assert(
      fc.property(bytes(200), bytes(200), fc.nat(199), (one, other, shared) => {
        // A long stretch of equal bytes is in most pages.
        other.set(one.subarray(0, shared));
        const ranges = differingRanges(one, other);
        const made = one.slice();
        let end = -8;
        for (const { offset, before, after } of ranges) {
          expect(before).toEqual(one.subarray(offset, offset + before.length));
          expect(before[0]).not.toBe(after[0]);
          expect(before.at(-1)).not.toBe(after.at(-1));
          expect(offset - end).toBeGreaterThan(7);
          made.set(after, offset);
          end = offset + after.length;
        }
        expect(made).toEqual(other);
      }),
    );
  });

  test('close to each other are one', () => {
    const before = new Uint8Array(64);
    const after = new Uint8Array(64);
    for (const at of [3, 11, 20]) after[at] = 1;
    const found = differingRanges(before, after).map(({ offset, after: of }) => [
      offset,
      of.length,
    ]);
    expect(found).toEqual([
      [3, 9],
      [20, 1],
    ]);
  });

  test('are shown in lines of sixteen bytes with their text', () => {
    const before = Uint8Array.from({ length: 17 }, (_, i) => i);
    const after = new TextEncoder().encode('sixteen and more.');
    const lines = [...hexLines({ offset: 0xff0, before, after })];
    expect(lines).toHaveLength(4);
    expect(lines[0]).toBe(
      '  0ff0 - 00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f  |................|',
    );
    expect(lines[1]).toBe(
      '  0ff0 + 73 69 78 74 65 65 6e 20 61 6e 64 20 6d 6f 72 65  |sixteen and more|',
    );
    expect(lines[3]!.trimEnd()).toMatch(/^ {2}1000 \+ 2e +\|\.\|$/u);
  });
});

describe('a set of pairs', () => {
  test('knows what it took in', () => {
    const pair = fc.tuple(fc.nat(5), fc.integer({ min: 1, max: 2000 }));
    fc.assert(
      fc.property(fc.array(pair, { maxLength: 4000 }), (pairs) => {
        const set = new PairSet();
        const known = new Set<string>();
        for (const [a, b] of pairs) {
          expect(set.add(a, b)).toBe(!known.has(`${a} ${b}`));
          known.add(`${a} ${b}`);
        }
        expect(set.size).toBe(known.size);
      }),
      { numRuns: triesOf(20) },
    );
  });
});
