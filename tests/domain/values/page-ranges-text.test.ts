import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { rangesOf } from '../../../domain/values/capture-ranges.ts';
import { rangesOfText, textOfRanges } from '../../../domain/values/page-ranges-text.ts';

const ROOM = 2 ** 20;
const ranges = fc.uniqueArray(fc.nat(2 ** 27), { maxLength: 60 }).map(rangesOf);

describe('ranges of pages as text', () => {
  test('are a word each: how far it is from the one before, and how many pages more it has', () => {
    const some = [
      [3, 3],
      [5, 40],
      [100, 101],
    ] as const;
    expect(textOfRanges(some, ROOM)).toEqual({ text: '3 1+z 1n+1', ranges: 3 });
    expect(rangesOfText('3 1+z 1n+1')).toEqual(some);
    expect(rangesOfText('')).toEqual([]);
  });

  test('are read back as they were', () => {
    fc.assert(
      fc.property(ranges, (some) => {
        expect(rangesOfText(textOfRanges(some, ROOM).text)).toEqual(some);
      }),
    );
  });

  test('are cut where there is no room, between two of them', () => {
    fc.assert(
      fc.property(ranges, fc.nat(200), (some, room) => {
        const { text, ranges: taken } = textOfRanges(some, room);
        expect(text.length).toBeLessThanOrEqual(room);
        expect(rangesOfText(text)).toEqual(some.slice(0, taken));
      }),
    );
  });

  test.each(['x y ', ' 1', '1  2', '+1', '1+', '-1', '1.5', '1 0', '123456789', 'A', '1+1+1'])(
    'are none in %j',
    (text) => {
      expect(rangesOfText(text)).toBeNull();
    },
  );

  test('are none, or ascend and never touch, whatever the text', () => {
    const letters = fc.constantFrom('0', '1', '2', '9', 'a', 'z', '+', ' ', '-');
    fc.assert(
      fc.property(fc.string({ unit: letters, maxLength: 40 }), (text) => {
        const some = rangesOfText(text);
        let from = -1;
        for (const [first, last] of some ?? []) {
          expect(first).toBeGreaterThan(from);
          expect(last).toBeGreaterThanOrEqual(first);
          from = last + 1;
        }
      }),
    );
  });
});
