// Predicates on memory as people write them, and what they say of what cannot be read.

import { describe, expect, test } from '@jest/globals';
import * as either from 'fp-ts/lib/Either.js';
import fc from 'fast-check';
import {
  evaluate,
  parsePredicate,
  type ReadPlace,
} from '../../../../domain/use-cases/travel/predicate.ts';
import { accepted } from '../../../../domain/ports/run.ts';
import { refusalText } from '../../../../domain/values/refusal-texts.ts';

/** 256 bytes from 0x1000 on, each its own number; `top` lies at 0x1080. */
const read: ReadPlace = ({ symbol, offset }, lengthBytes) => {
  if (symbol !== null && symbol !== 'top') return Promise.resolve(null);
  const at = Number(offset) + (symbol === null ? 0 : 0x1080) - 0x1000;
  if (at < 0 || at + lengthBytes > 256) return Promise.resolve(null);
  return Promise.resolve(Uint8Array.from({ length: lengthBytes }, (_, i) => at + i));
};

const said = (text: string): Promise<boolean | null> =>
  evaluate(accepted(parsePredicate(text)), read);

const whyNot = (text: string): string => {
  const parsed = parsePredicate(text);
  return either.isLeft(parsed) ? refusalText(parsed.left) : 'it is one';
};

describe('a predicate', () => {
  test('compares numbers of every type at addresses and behind symbols', async () => {
    for (const text of [
      'u8 0x1005 == 5',
      'u8 4101 = 0x5',
      'u16 0x1001 == 0x0201',
      'u32(0x1000) < 0x03020101',
      'u64 0x1000 >= 0x0706050403020100',
      'u8 top == 128',
      's8 top == -128',
      's8 top+1 < 0',
      'u8 top-1 == 127',
      's16 top > -32385 and s16 top < 0',
      's64 0x1000 != -1',
      'bytes 0x1000 == 000102',
      'bytes(top) == 0x8081',
      'bytes top != 8082',
    ])
      expect([text, await said(text)]).toEqual([text, true]);
    expect(await said('u8 0x1005 > 5')).toBe(false);
    expect(await said('u32 0x1000 <= 0x03020100')).toBe(true);
  });

  test('binds not before and before or, unless parentheses say otherwise', async () => {
    const [yes, no] = ['u8 0x1001 == 1', 'u8 0x1001 == 2'];
    expect(await said(`${yes} or ${yes} and ${no}`)).toBe(true);
    expect(await said(`(${yes} or ${yes}) and ${no}`)).toBe(false);
    expect(await said(`not ${no} and ${yes}`)).toBe(true);
    expect(await said(`not (${no} or ${yes})`)).toBe(false);
  });

  test('cannot be told where what it depends on cannot be read', async () => {
    const [yes, no, lost] = ['u8 0x1001 == 1', 'u8 0x1001 == 2', 'u8 absent == 1'];
    expect(await said(lost)).toBeNull();
    expect(await said(`not ${lost}`)).toBeNull();
    expect(await said(`${lost} and ${no}`)).toBe(false);
    expect(await said(`${lost} or ${yes}`)).toBe(true);
    expect(await said(`${lost} and ${yes}`)).toBeNull();
    expect(await said('u64 0x10fc == 1')).toBeNull();
  });

  test('that is none says what was expected', () => {
    for (const [text, part] of [
      ['', 'a type was expected at its end'],
      ['u128 1 == 1', 'a type was expected (u8'],
      ['u8 == 1', 'neither an address nor a symbol'],
      ['u8 1 + 1', 'a comparison was expected'],
      ['u8 1 ==', 'a number was expected at its end'],
      ['u8 1 >= 300', 'u8 is never 300'],
      ['s8 1 == -129', 's8 is never -129'],
      ['u8 1 == -1', 'u8 is never -1'],
      ['u64 0x1fffffffffffffffff == 1', 'these have 64 bits'],
      ['u8 1 == x', 'a number was expected'],
      ['u8 1zz == 1', 'neither an address nor a symbol'],
      ['bytes 1 < 00', 'bytes are equal or not'],
      ['bytes 1 == 0', 'in hex were expected'],
      ['(u8 1 == 1', 'a ) was expected'],
      ['u8 1 == 1 u8', 'was not expected'],
      ['u8 1 == 1 ; reboot', 'means nothing here'],
      ['('.repeat(100_000), 'longer than'],
      [`${'not '.repeat(100)}u8 1 == 1`, 'deeper than'],
    ] as const)
      expect(whyNot(text)).toContain(part);
  });

  test('is understood, or refused, whatever is written', () => {
    const word = fc.constantFrom('u8', 's64', 'bytes', 'not', 'and', 'or', '(', ')', '==', '<');
    const place = fc.constantFrom('top', '0x1000', '12', '+', '-', 'ff', '\u0000', 'é', '==');
    fc.assert(
      fc.property(fc.array(fc.oneof(word, place), { maxLength: 12 }), (words) => {
        const parsed = parsePredicate(words.join(' '));
        expect(either.isRight(parsed) || parsed.left._tag === 'BadPredicate').toBe(true);
      }),
    );
  });
});
