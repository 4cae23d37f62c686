// Memory that a few pages are read into.

import { describe, expect, test } from '@jest/globals';
import { PageRooms } from '../../../../domain/use-cases/serve/page-rooms.ts';
import { PAGE_BYTES } from '../../../../domain/values/page.ts';

describe('memory for a few pages', () => {
  test('is used again once it was given back, and not before', () => {
    const rooms = new PageRooms(32);
    const [one, other] = [rooms.lend(1), rooms.lend(32)];
    expect([one.bytes.length, other.bytes.length]).toEqual([PAGE_BYTES, 32 * PAGE_BYTES]);
    expect(one.bytes.buffer).not.toBe(other.bytes.buffer);
    one.giveBack();
    const next = rooms.lend(3);
    expect(next.bytes.buffer).toBe(one.bytes.buffer);
    expect(rooms.lend(1).bytes.buffer).not.toBe(other.bytes.buffer);
  });

  test('is not kept beyond what many readers at once need', () => {
    const rooms = new PageRooms(32);
    const lent = Array.from({ length: 40 }, () => rooms.lend(1));
    for (const each of lent) each.giveBack();
    const known = new Set(lent.map(({ bytes }) => bytes.buffer));
    const again = Array.from({ length: 40 }, () => rooms.lend(1).bytes.buffer);
    expect(again.filter((room) => known.has(room))).toHaveLength(16);
  });
});
