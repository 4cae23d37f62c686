import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { extentsOf } from '../../../../adapters/faces/nbd/contexts.ts';
import { EXTENTS_MAX } from '../../../../adapters/faces/nbd/protocol.ts';
import { PAGE_BYTES } from '../../../../domain/values/page.ts';

describe('extents', () => {
  test('say of every byte that was asked about what its page is, no two neighbours the same', () => {
    const asked = fc.record({
      pages: fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 1, maxLength: 40 }),
      from: fc.nat(),
      length: fc.nat(),
    });
    fc.assert(
      fc.property(asked, ({ pages, from, length }) => {
        const size = pages.length * PAGE_BYTES;
        const offsetBytes = from % size;
        const lengthBytes = 1 + (length % (size - offsetBytes));
        const context = { id: 1, name: 'any', flagsOf: (page: number) => pages[page]! };
        const extents = extentsOf(context, { offsetBytes, lengthBytes, isOneEnough: false });
        let at = offsetBytes;
        for (const extent of extents) {
          for (const byte of [at, at + extent.lengthBytes - 1])
            expect(pages[Math.floor(byte / PAGE_BYTES)]).toBe(extent.flags);
          expect(extent.lengthBytes).toBeGreaterThan(0);
          at += extent.lengthBytes;
        }
        expect(at).toBe(offsetBytes + lengthBytes);
        expect(extents.some(({ flags }, i) => flags === extents[i + 1]?.flags)).toBe(false);
        const first = extentsOf(context, { offsetBytes, lengthBytes, isOneEnough: true });
        expect(first).toEqual(extents.slice(0, 1));
      }),
    );
  });

  test('are at most so many in an answer, from its beginning on', () => {
    const context = { id: 1, name: 'any', flagsOf: (page: number) => page % 2 };
    const lengthBytes = 4 * EXTENTS_MAX * PAGE_BYTES;
    const extents = extentsOf(context, { offsetBytes: 0, lengthBytes, isOneEnough: false });
    expect(extents).toHaveLength(EXTENTS_MAX);
    expect(extents.at(-1)).toEqual({ lengthBytes: PAGE_BYTES, flags: 1 });
  });
});
