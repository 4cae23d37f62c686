// What is made of memory that somebody reads in its order, and what of memory that is read otherwise.

import { describe, expect, test } from '@jest/globals';
import { PART_PAGES, ReadAhead } from '../../../../domain/use-cases/serve/read-ahead.ts';
import { WINDOW_PAGES, WindowPool } from '../../../../domain/use-cases/serve/window-pool.ts';
import { PAGE_BYTES } from '../../../../domain/values/page.ts';

const PART = WINDOW_PAGES / 4;
const PAGES = 5 * WINDOW_PAGES + PART / 2;

interface MemoryOptions {
  readonly pool?: WindowPool;
  readonly fails?: (firstPage: number) => boolean;
  readonly isZero?: (page: number) => boolean;
}

/** A memory each of whose pages says its number, and what was made of it. */
function memoryOf({
  pool = new WindowPool(),
  fails = () => false,
  isZero = () => false,
}: MemoryOptions = {}) {
  const made: (readonly [number, number])[] = [];
  const ahead = new ReadAhead(pool, {
    pages: PAGES,
    isZero,
    fill: async (firstPage, pages, into) => {
      made.push([firstPage, pages]);
      if (fails(firstPage)) throw new Error('it is damaged');
      const words = new Uint32Array(into);
      for (let i = 0; i < pages; i += 1) words[(i * PAGE_BYTES) / 4] = firstPage + i;
    },
  });
  const lent = (firstPage: number, pages: number) =>
    ahead.read(firstPage, pages, ahead.note(firstPage, pages));
  /** The number of the first page that was read; null: it was not read ahead. */
  const read = async (firstPage: number, pages: number): Promise<number | null> => {
    const found = await lent(firstPage, pages);
    if (found === null) return null;
    const { bytes, giveBack } = found;
    expect(bytes).toHaveLength(pages * PAGE_BYTES);
    const number = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
    giveBack();
    return number;
  };
  return { read, lent, made };
}

describe('memory that is read in its order', () => {
  test('is made to the end of a window, and the next one with it, once it is read on', async () => {
    const { read, made } = memoryOf();
    expect(await read(0, PART)).toBeNull();
    const rest = [1, 2, 3].map((part) => read(part * PART, PART));
    expect(await Promise.all(rest)).toEqual([PART, 2 * PART, 3 * PART]);
    expect(made).toEqual([
      [PART, WINDOW_PAGES - PART],
      [WINDOW_PAGES, WINDOW_PAGES],
    ]);
    // What came before is read for itself.
    expect(await read(0, PART)).toBeNull();
  });

  test('is made each window once, before it is asked for, to the end of the memory', async () => {
    const { read, made } = memoryOf();
    for (let at = PART; at < PAGES; at += PART) await read(at, Math.min(PART, PAGES - at));
    expect(made).toEqual([
      [2 * PART, WINDOW_PAGES - 2 * PART],
      ...[1, 2, 3, 4].map((number) => [number * WINDOW_PAGES, WINDOW_PAGES]),
      [5 * WINDOW_PAGES, PART / 2],
    ]);
  });

  test('is made where little is read at a time, too, once that is enough in a row', async () => {
    const { read, made } = memoryOf();
    for (let page = 0; page < PART_PAGES; page += 1) expect(await read(page, 1)).toBeNull();
    expect(made).toEqual([]);
    for (let page = PART_PAGES; page < WINDOW_PAGES; page += 1)
      expect(await read(page, 1)).toBe(page);
    expect(made).toEqual([
      [PART_PAGES, WINDOW_PAGES - PART_PAGES],
      [WINDOW_PAGES, WINDOW_PAGES],
    ]);
  });

  test('is read on by who passes over zeros', async () => {
    const isZero = (page: number): boolean => page >= 3 * PART && page < WINDOW_PAGES + PART;
    const { read, made } = memoryOf({ isZero });
    await read(PART, 2 * PART);
    expect(await read(WINDOW_PAGES + PART, 8)).toBe(WINDOW_PAGES + PART);
    expect(made[0]).toEqual([WINDOW_PAGES + PART, WINDOW_PAGES - PART]);
  });

  test('is made for a second large part of a window, wherever the first one was', async () => {
    const { read, made } = memoryOf();
    expect(await read(2 * PART, PART)).toBeNull();
    expect(await read(0, PART)).toBe(0);
    expect(made).toEqual([[0, WINDOW_PAGES]]);
  });

  test('is not taken for such where parts lie in windows of their own, or in two', async () => {
    const { read, made } = memoryOf();
    for (const at of [0, 2 * WINDOW_PAGES, WINDOW_PAGES + PART])
      expect(await read(at, PART)).toBeNull();
    expect(await read(WINDOW_PAGES - 2, 4)).toBeNull();
    expect(await read(WINDOW_PAGES - 2, 4)).toBeNull();
    expect(made).toEqual([]);
  });

  test('is not made for single pages from anywhere, however many', async () => {
    const { read, made } = memoryOf();
    for (let i = 0; i < 4 * PAGES; i += 1) expect(await read((i * 613) % PAGES, 1)).toBeNull();
    expect(made).toEqual([]);
  });

  test('is read for itself where a window cannot be made, which is tried again', async () => {
    let isDamaged = true;
    const { read, made } = memoryOf({ fails: () => isDamaged });
    await read(0, PART);
    expect(await read(PART, PART)).toBeNull();
    isDamaged = false;
    expect(await read(PART, PART)).toBe(PART);
    expect(made.filter(([firstPage]) => firstPage === PART)).toHaveLength(2);
  });
});

describe('what is lent of windows', () => {
  test('stays as it is until it is given back, and there is a bound to all of it', async () => {
    const pool = new WindowPool();
    const held = [];
    for (;;) {
      const { read, lent } = memoryOf({ pool });
      await read(2 * PART, PART);
      const found = await lent(0, PART);
      if (found === null) break;
      held.push(found);
    }
    expect(held).toHaveLength(48);
    for (const { bytes } of held) expect(new Uint32Array(bytes.buffer)[0]).toBe(0);
    const other = memoryOf({ pool });
    await other.read(PART, PART);
    expect(await other.read(2 * PART, PART)).toBeNull();
    held[7]!.giveBack();
    expect(await other.read(2 * PART, PART)).toBe(2 * PART);
    // In the room of the one that was given back, alone.
    expect(held.map(({ bytes }) => new Uint32Array(bytes.buffer)[0])).toEqual(
      held.map((_, i) => (i === 7 ? 2 * PART : 0)),
    );
  });

  test('is read least recently of all before it goes for another', async () => {
    const pool = new WindowPool();
    const memories = Array.from({ length: 60 }, () => memoryOf({ pool }));
    for (const { read } of memories) {
      await read(2 * PART, PART);
      expect(await read(0, PART)).toBe(0);
    }
    const [first, last] = [memories[0]!, memories.at(-1)!];
    await last.read(2 * PART + 1, PART);
    expect(last.made).toHaveLength(1);
    // Its window had to go, and is made anew.
    expect(await first.read(PART + 1, PART)).toBe(PART + 1);
    expect(first.made).toHaveLength(2);
  });

  test('is no room of a window that could not be made', async () => {
    const pool = new WindowPool();
    for (let i = 0; i < 60; i += 1) {
      const { read } = memoryOf({ pool, fails: () => true });
      await read(2 * PART, PART);
      expect(await read(0, PART)).toBeNull();
    }
    const { read } = memoryOf({ pool });
    await read(2 * PART, PART);
    expect(await read(0, PART)).toBe(0);
  });
});
