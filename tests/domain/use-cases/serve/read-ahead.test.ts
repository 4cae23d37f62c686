// What is made of memory that somebody reads in its order, and what of memory that is read otherwise.

import { describe, expect, test } from '@jest/globals';
import {
  ReadAhead,
  WINDOW_PAGES,
  WindowPool,
} from '../../../../domain/use-cases/serve/read-ahead.ts';
import { PAGE_BYTES } from '../../../../domain/values/page.ts';

const PART = WINDOW_PAGES / 4;
const PAGES = 3 * WINDOW_PAGES + PART / 2;

/** A memory each of whose pages says its number, and what was made of it. */
function memoryOf(pool = new WindowPool(), fails: (firstPage: number) => boolean = () => false) {
  const made: (readonly [number, number])[] = [];
  const ahead = new ReadAhead(pool, {
    pages: PAGES,
    fill: async (firstPage, pages, into) => {
      made.push([firstPage, pages]);
      if (fails(firstPage)) throw new Error('it is damaged');
      const words = new Uint32Array(into);
      for (let i = 0; i < pages; i += 1) words[(i * PAGE_BYTES) / 4] = firstPage + i;
    },
  });
  /** The number of the first page that was read; null: it was not read ahead. */
  const read = async (firstPage: number, pages: number): Promise<number | null> => {
    const bytes = await ahead.read(firstPage, pages);
    if (bytes === null) return null;
    expect(bytes).toHaveLength(pages * PAGE_BYTES);
    return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  };
  return { read, made };
}

describe('memory that is read in its order', () => {
  test('is made to the end of a window once a second part of it is asked for', async () => {
    const { read, made } = memoryOf();
    expect(await read(0, PART)).toBeNull();
    const rest = [1, 2, 3].map((part) => read(part * PART, PART));
    expect(await Promise.all(rest)).toEqual([PART, 2 * PART, 3 * PART]);
    expect(made).toEqual([[PART, WINDOW_PAGES - PART]]);
    // What came before is read for itself.
    expect(await read(0, PART)).toBeNull();
  });

  test('is made from the first part of a window on where the one before was, to the end of the memory', async () => {
    const { read, made } = memoryOf();
    for (let at = PART; at < PAGES; at += PART) await read(at, Math.min(PART, PAGES - at));
    expect(made).toEqual([
      [2 * PART, WINDOW_PAGES - 2 * PART],
      [WINDOW_PAGES, WINDOW_PAGES],
      [2 * WINDOW_PAGES, WINDOW_PAGES],
      [3 * WINDOW_PAGES, PART / 2],
    ]);
  });

  test('is not taken for such where parts lie in windows of their own, or in two', async () => {
    const { read, made } = memoryOf();
    for (const at of [0, 2 * WINDOW_PAGES, WINDOW_PAGES + PART])
      expect(await read(at, PART)).toBeNull();
    expect(await read(WINDOW_PAGES - 2, 4)).toBeNull();
    expect(await read(WINDOW_PAGES - 2, 4)).toBeNull();
    expect(made).toEqual([]);
  });

  test('is read for itself where a window cannot be made, which is tried again', async () => {
    let isDamaged = true;
    const { read, made } = memoryOf(new WindowPool(), () => isDamaged);
    await read(0, PART);
    expect(await read(PART, PART)).toBeNull();
    isDamaged = false;
    expect(await read(PART, PART)).toBe(PART);
    expect(made).toHaveLength(2);
  });

  test('is kept with that of others, and no more of it than a pool holds', async () => {
    const pool = new WindowPool();
    const memories = Array.from({ length: 40 }, () => memoryOf(pool));
    for (const { read } of memories) {
      await read(0, PART);
      expect(await read(PART, PART)).toBe(PART);
    }
    const [first, last] = [memories[0]!, memories.at(-1)!];
    await last.read(2 * PART, PART);
    expect(last.made).toHaveLength(1);
    // Its window had to go, and is made anew.
    expect(await first.read(2 * PART, PART)).toBe(2 * PART);
    expect(first.made).toHaveLength(2);
  });
});
