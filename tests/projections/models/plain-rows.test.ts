import * as either from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { position } from '../../../projections/models/capture-codecs.ts';
import { plainRow } from '../../../projections/models/plain-rows.ts';

const FIELDS = {
  count: t.number,
  at: position,
  name: t.union([t.string, t.null]),
  range: plainRow({ first: t.number, from: position }),
  list: t.readonlyArray(t.number),
};
const plain = plainRow(FIELDS);
const strict = t.strict({ ...FIELDS, range: t.strict({ first: t.number, from: position }) });

const values = fc.oneof(
  fc.constantFrom(undefined, null, '', '17', '-1', true, [], [1], ['a'], {}, 1.5, -1),
  fc.record({ first: fc.constantFrom(1, 'x', undefined), from: fc.constantFrom('9', 9, 'x') }),
);
const rows = fc.oneof(
  fc.record({
    count: fc.oneof(fc.integer(), values),
    at: fc.oneof(fc.nat().map(String), values),
    name: fc.oneof(fc.string(), values),
    range: fc.oneof(fc.constant({ first: 1, from: '7', more: 1 }), values),
    list: fc.oneof(fc.array(fc.integer()), values),
    more: values,
  }),
  values,
);

describe('a plain row', () => {
  test('is decoded where a strict one is, to the same', () => {
    let whole = 0;
    fc.assert(
      fc.property(rows, (row) => {
        const [one, other] = [plain.decode(row), strict.decode(row)];
        expect(either.isRight(one)).toBe(either.isRight(other));
        if (either.isLeft(one) || either.isLeft(other)) return;
        whole += 1;
        expect(one.right).toEqual(other.right);
        expect(plain.is(one.right)).toBe(true);
        expect(plain.encode(one.right)).toEqual(strict.encode(other.right));
      }),
      { numRuns: 2000 },
    );
    expect(whole).toBeGreaterThan(10);
  });
});
