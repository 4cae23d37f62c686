// Bytes are compared as bytes: `toEqual` of two images takes milliseconds, where comparing them index by
// index, as of any object, takes many seconds. Loaded before every test file (jest.config.js).

import { isUint8Array } from 'node:util/types';
import { expect } from '@jest/globals';

/** Whether two arrays of bytes of one class are equal; undefined: of anything else, others say. */
function areSameBytes(a: unknown, b: unknown): boolean | undefined {
  if (!isUint8Array(a) || !isUint8Array(b) || a.constructor !== b.constructor) return undefined;
  return Buffer.compare(a, b) === 0;
}

expect.addEqualityTesters([areSameBytes]);
