// What threads share of stored blocks is copied before blocks are taken out of it, into memory that is
// used again, and nobody else's meanwhile.

import { randomBytes } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { privately } from '../../../domain/use-cases/pages/staging.ts';

/** Shared memory that holds these bytes, from its beginning on. */
function shared(bytes: Uint8Array): Uint8Array {
  const view = new Uint8Array(new SharedArrayBuffer(bytes.length + 1), 0, bytes.length);
  view.set(bytes);
  return view;
}

describe('bytes that threads share', () => {
  test('are the same in memory of one thread, also when more of them come than before', () => {
    for (const length of [0, 1, 5000, 1024 * 1024 + 3]) {
      const bytes = new Uint8Array(randomBytes(length));
      const lent = privately(shared(bytes));
      expect(lent.bytes.buffer).not.toBeInstanceOf(SharedArrayBuffer);
      expect(Buffer.compare(lent.bytes, bytes)).toBe(0);
      lent.giveBack();
    }
  });

  test('stay as they were copied until they are given back', () => {
    const [first, second] = [randomBytes(5000), randomBytes(7000)];
    const source = shared(first);
    const lent = privately(source);
    source.fill(0);
    const other = privately(shared(second));
    expect(Buffer.compare(lent.bytes, first)).toBe(0);
    expect(Buffer.compare(other.bytes, second)).toBe(0);
    lent.giveBack();
    other.giveBack();
  });

  test('lie where earlier ones lay that were given back', () => {
    const lent = privately(shared(randomBytes(5000)));
    const { buffer } = lent.bytes;
    lent.giveBack();
    const next = privately(shared(randomBytes(4000)));
    expect(next.bytes.buffer).toBe(buffer);
    next.giveBack();
  });

  test('are not copied where no other thread has them', () => {
    const bytes = new Uint8Array(5000);
    expect(privately(bytes).bytes).toBe(bytes);
  });
});
