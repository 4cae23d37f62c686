// The packets of GDB's remote protocol, however they come.

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  PACKET_BYTES_MAX,
  packetOf,
  PacketReader,
  PacketTooLong,
} from '../../../../adapters/faces/gdb/packets.ts';

const packet = (payload: string) => ({ kind: 'packet', payload });

describe('a packet', () => {
  test('is what GDB writes', () => {
    expect(packetOf('OK').toString()).toBe('$OK#9a');
    expect(packetOf('a#b$c}d*e').toString('latin1')).toBe('$a}\u0003b}\u0004c}]d}\ne#51');
  });

  test('is read as it was written, in whatever parts it comes', () => {
    const payload = fc.uint8Array({ maxLength: 40 }).map((b) => Buffer.from(b).toString('latin1'));
    fc.assert(
      fc.property(
        fc.array(payload, { maxLength: 5 }),
        fc.integer({ min: 1, max: 9 }),
        (all, by) => {
          const bytes = Buffer.concat(all.map((each) => packetOf(each)));
          const reader = new PacketReader();
          const found = [];
          for (let at = 0; at < bytes.length; at += by)
            found.push(...reader.take(bytes.subarray(at, at + by)));
          expect(found).toEqual(all.map((each) => packet(each)));
        },
      ),
    );
  });

  test('with another checksum is told of, and what follows is read', () => {
    const found = new PacketReader().take(Buffer.from('$g#00$g#zz$g#67'));
    expect(found).toEqual([{ kind: 'spoiled' }, { kind: 'spoiled' }, packet('g')]);
  });

  test('is not mistaken for what stands between packets', () => {
    const found = new PacketReader().take(Buffer.from('++\u0003-x$g#67+'));
    expect(found).toEqual([{ kind: 'interrupt' }, { kind: 'again' }, packet('g')]);
  });

  test('without an end is not kept for ever', () => {
    const reader = new PacketReader();
    const chunk = Buffer.alloc(PACKET_BYTES_MAX, 0x24);
    expect(() => {
      for (let i = 0; i < 10; i += 1) reader.take(chunk);
    }).toThrow(PacketTooLong);
  });

  test('is never more than bytes, whatever they are', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 50 })), (chunks) => {
        const reader = new PacketReader();
        for (const chunk of chunks)
          for (const incoming of reader.take(chunk))
            expect(['packet', 'spoiled', 'again', 'interrupt']).toContain(incoming.kind);
      }),
    );
  });
});
