// Arrays of whole numbers are compared as their bytes: `toEqual` of two images takes milliseconds, where
// comparing them index by index, as of any object, takes many seconds. A Buffer equals another array of
// the same bytes, by `toStrictEqual` as well. Loaded before every test file (jest.config.js).

import { isTypedArray } from 'node:util/types';
import { expect } from '@jest/globals';

/** Zeros of two signs and what is not a number are for others to compare. */
const isOfFractions = (kind: string): boolean => kind.startsWith('Float');

/** Whether two arrays of whole numbers of one kind are equal; undefined: of anything else, others say. */
function areSameNumbers(a: unknown, b: unknown): boolean | undefined {
  if (!isTypedArray(a) || !isTypedArray(b)) return undefined;
  const kind = a[Symbol.toStringTag];
  if (kind !== b[Symbol.toStringTag] || isOfFractions(kind)) return undefined;
  const [one, two] = [a, b].map((of) => Buffer.from(of.buffer, of.byteOffset, of.byteLength));
  return one!.equals(two!);
}

expect.addEqualityTesters([areSameNumbers]);
