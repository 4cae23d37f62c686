import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { fromHex, toHex } from '../../../domain/values/identifier.ts';

test('bytes are as their hex says, and their hex as they say', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      const text = toHex(bytes);
      expect(text).toBe(Buffer.from(bytes).toString('hex'));
      expect(fromHex(text)).toEqual(bytes);
    }),
  );
});
