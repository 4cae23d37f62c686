import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  parseCursor,
  placeText,
  rankOf,
  type RowPart,
} from '../../../projections/subscriptions/cursor.ts';

const ID = '0123456789abcdef0123456789abcdef';
const ITEM_MAX = 2 * (2 ** 32 - 1) + 1;

const part: fc.Arbitrary<RowPart> = fc.oneof(
  fc.constantFrom<RowPart>({ _tag: 'whole' }, { _tag: 'device' }),
  fc.nat({ max: 2 ** 20 }).map((number): RowPart => ({ _tag: 'pack', number })),
  fc.nat({ max: ITEM_MAX }).map((item): RowPart => ({ _tag: 'page', item })),
  fc.nat({ max: 2 ** 32 - 2 }).map((row): RowPart => ({ _tag: 'batch', item: 2 * row })),
);

describe('a place', () => {
  test('is read back as it was written, at any position', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 127n }), part, (position, of) => {
        expect(parseCursor(placeText({ position, id: ID }, of))).toMatchObject({
          _tag: 'Right',
          right: { position, rank: rankOf(of), id: ID.slice(0, 16) },
        });
      }),
    );
  });

  test('has the order of the rows of a capture', () => {
    const parts: RowPart[] = [
      { _tag: 'pack', number: 0 },
      { _tag: 'pack', number: 1 },
      { _tag: 'batch', item: 0 },
      { _tag: 'page', item: 0 },
      { _tag: 'page', item: 1 },
      { _tag: 'page', item: 2 },
      { _tag: 'batch', item: 4 },
      { _tag: 'page', item: 4 },
      { _tag: 'page', item: ITEM_MAX },
      { _tag: 'device' },
      { _tag: 'whole' },
    ];
    const ranks = parts.map(rankOf);
    expect(ranks).toEqual(ranks.toSorted((a, b) => a - b));
    expect(new Set(ranks).size).toBe(parts.length);
    expect(
      parts.map((of) => placeText({ position: 7n, id: ID }, of).replace(`@${ID.slice(0, 16)}`, '')),
    ).toEqual([
      '7/p0',
      '7/p1',
      '7/b0',
      '7/0',
      '7/1',
      '7/2',
      '7/b4',
      '7/4',
      `7/${ITEM_MAX}`,
      '7/d',
      '7',
    ]);
  });

  test.each(['7', '7/p1', '7/b4', '7/2', '7/d'])('is read without an id: %s', (text) => {
    expect(parseCursor(text)).toMatchObject({ _tag: 'Right', right: { position: 7n, id: null } });
  });

  test('is nothing else, and is refused with what was given', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const parsed = parseCursor(text);
        const isSaid = parsed._tag === 'Right' || parsed.left._tag === 'BadPlace';
        expect(isSaid && (parsed._tag === 'Left' || /^\d/u.test(text))).toBe(true);
      }),
    );
    for (const text of [
      '',
      '/',
      '1/',
      '1/p',
      '1/p-1',
      '1 /2',
      '1/2/3',
      '٣',
      '1e3',
      '0x10',
      '1@',
      '1@ABCDEF01',
    ])
      expect(parseCursor(text)._tag).toBe('Left');
  });
});
