import { expect, test } from '@jest/globals';

test('arrays of whole numbers are compared as their bytes, and as what kind they are', () => {
  const bytes = Uint8Array.of(1, 2, 3);
  expect(Buffer.from(bytes)).toEqual(bytes);
  expect(new Uint8Array(Buffer.from([0, 1, 2, 3]).subarray(1))).toEqual(bytes);
  expect({ of: [bytes] }).toEqual({ of: [Buffer.from(bytes)] });
  expect(bytes).not.toEqual(Uint8Array.of(1, 2, 4));
  expect(bytes).not.toEqual(Uint8Array.of(1, 2));
  expect(bytes).not.toEqual(Uint16Array.from(bytes));
  expect(bytes).not.toEqual([1, 2, 3]);
  expect(Uint32Array.of(7, 2 ** 32 - 1)).toEqual(Uint32Array.of(7, -1));
  expect(Float64Array.of(-0)).not.toEqual(Float64Array.of(0));
  expect(Float64Array.of(Number.NaN)).toEqual(Float64Array.of(Number.NaN));
});
