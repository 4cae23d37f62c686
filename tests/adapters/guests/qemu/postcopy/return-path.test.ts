// What a guest's QEMU says while its memory arrives, whole, in pieces, and made up.

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ReturnPath } from '../../../../../adapters/guests/qemu/postcopy/return-path.ts';
import { isLedgerError } from '../../../../../domain/values/ledger-error.ts';
import * as said from '../../../../support/guest/returned-bytes.ts';

const MAP = {
  blocks: [
    { name: 'pc.ram', pages: 100 },
    { name: '/rom@etc/acpi/tables', pages: 32 },
  ],
  ranges: [],
};
const path = (): ReturnPath => new ReturnPath(MAP, 'qmp.sock');

describe('the way back', () => {
  test('names pages by their numbers in the whole guest', () => {
    const heard = path().take(
      Buffer.concat([
        said.wanted({ block: 'pc.ram', page: 3, pages: 2 }),
        said.wanted({ page: 99 }),
        said.wanted({ block: '/rom@etc/acpi/tables', page: 31 }),
        said.wanted({ page: 0 }),
      ]),
    );
    expect(heard).toEqual([
      { _tag: 'wanted', firstPage: 3, count: 2 },
      { _tag: 'wanted', firstPage: 99, count: 1 },
      { _tag: 'wanted', firstPage: 131, count: 1 },
      { _tag: 'wanted', firstPage: 100, count: 1 },
    ]);
  });

  test('tells which pages a guest has, an end, and that it goes on', () => {
    const has = [0, 5, 63, 64, 99];
    const [received, shut, resumed, pong] = path().take(
      Buffer.concat([
        said.received({ block: 'pc.ram', pages: 100, has }),
        said.word(1, 0),
        said.word(6, 1),
        said.word(2, 7),
      ]),
    );
    expect(received).toMatchObject({ _tag: 'received', block: 'pc.ram' });
    const bits = received!._tag === 'received' ? received!.has : [];
    expect([...bits.entries()].filter(([, bit]) => bit === 1).map(([page]) => page)).toEqual(has);
    expect(bits.length).toBe(100);
    expect([shut, resumed, pong]).toEqual([
      { _tag: 'shut', status: 0 },
      { _tag: 'resumed' },
      { _tag: 'pong' },
    ]);
  });

  test('is the same in whatever pieces it comes', () => {
    const bytes = Buffer.concat([
      said.wanted({ block: 'pc.ram', page: 3 }),
      said.received({ block: '/rom@etc/acpi/tables', pages: 32, has: [1] }),
      said.wanted({ page: 4 }),
    ]);
    const whole = path().take(bytes);
    fc.assert(
      fc.property(fc.array(fc.nat(bytes.length), { maxLength: 8 }), (cuts) => {
        const reader = path();
        const edges = [0, ...cuts.toSorted((a, b) => a - b), bytes.length];
        const heard = edges
          .slice(1)
          .flatMap((end, i) => reader.take(bytes.subarray(edges[i], end)));
        expect(heard).toEqual(whole);
      }),
    );
  });

  test.each([
    ['a type that is none', said.word(9, 0)],
    ['a length that is none', Buffer.from([0, 4, 0, 13, ...new Uint8Array(13)])],
    ['a block that the guest does not have', said.wanted({ block: 'vga.vram', page: 0 })],
    ['a request without a block', said.wanted({ page: 0 })],
    ['pages behind the end', said.wanted({ block: 'pc.ram', page: 99, pages: 2 })],
    ['a huge range', said.request({ block: 'pc.ram', offset: 0n, bytes: 0xffff_f000 })],
    ['a huge offset', said.request({ block: 'pc.ram', offset: 2n ** 64n - 4096n, bytes: 4096 })],
    ['no bytes', said.request({ block: 'pc.ram', offset: 0n, bytes: 0 })],
    ['half a page', said.request({ block: 'pc.ram', offset: 2048n, bytes: 4096 })],
    ['a bitmap of another block', said.received({ block: 'x', pages: 100, has: [] })],
    ['a bitmap of another size', said.received({ block: 'pc.ram', pages: 1000, has: [] })],
    ['a bitmap without its end', said.received({ block: 'pc.ram', pages: 100, has: [], end: 1n })],
    ['that it does not go on', said.word(6, 0)],
  ])('with %s is refused', (_, bytes) => {
    expect(() => path().take(bytes)).toThrow(/no request for memory as QEMU makes them/u);
  });

  /** The numbers that some bytes lead to, or the code of their refusal. */
  function outcomeOf(bytes: Uint8Array): number[] | string {
    try {
      return path()
        .take(bytes)
        .map((message) => (message._tag === 'wanted' ? message.firstPage + message.count : 0));
    } catch (thrown) {
      return isLedgerError(thrown) ? thrown.code : 'another failure';
    }
  }

  test('of any bytes is refused or waited for, and nothing else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const outcome = outcomeOf(bytes);
        const isFit =
          typeof outcome === 'string'
            ? outcome === 'QEMU_FAILED'
            : outcome.every((end) => end <= 132);
        expect(isFit).toBe(true);
      }),
    );
  });
});
