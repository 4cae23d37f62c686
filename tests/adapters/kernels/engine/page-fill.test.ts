// Pages made of stored blocks and written into a file, inline and on threads.

import { readFileSync, truncateSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { memoryOfDescriptor } from '../../../../adapters/files/memory-file.ts';
import { createPageEngine } from '../../../../adapters/kernels/engine/page-engine.ts';
import { FILL_PAGES_MAX, type PageEngine } from '../../../../domain/ports/page-engine.ts';
import { BLOCK_PAGES, PAGE_BYTES } from '../../../../domain/values/page.ts';
import { fillRequest, type Fill } from '../../../support/packs/fill-requests.ts';
import { pageAt } from '../../../support/images.ts';
import { openFiles, type OpenFiles } from '../../../support/disks/open-files.ts';
import { mixedImage, numbers, randomBytes, textBytes } from '../random-pages.ts';

let files: OpenFiles;
beforeAll(() => {
  files = openFiles();
});
afterAll(() => files.remove());

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

describe.each([0, 2])('an engine with %i threads', (threads) => {
  let engine: PageEngine;
  beforeAll(() => {
    engine = createPageEngine({ threads });
  });
  afterAll(() => engine.close());

  const fillInto = (target: { fd: number }, fill: Fill) => engine.fill(fillRequest(target, fill));

  test('fills any pages of a file from any slots, many at once', async () => {
    const bytes = mixedImage(300, 27);
    const blocks = engine.encode(bytes);
    const next = numbers(28);
    const expected = randomBytes(3000 * PAGE_BYTES, 29);
    const target = files.fileOf(`fill-${threads}`, expected);
    const fills = [];
    for (let part = 0; part < 6; part += 1) {
      const pages = new Set<number>();
      while (pages.size < 80 * part) pages.add(part * 500 + (next() % 500));
      const slots = [...pages].map(() => next() % 300);
      for (const [i, page] of [...pages].entries())
        pageAt(expected, page).set(pageAt(bytes, slots[i]!));
      fills.push(fillInto(target, { blocks, slots, pages: [...pages] }));
    }
    await Promise.all(fills);
    expect(Buffer.compare(readFileSync(target.path), expected)).toBe(0);
  });

  test('fills one page over and over, as many as there is room for', async () => {
    const bytes = textBytes(2 * PAGE_BYTES, 30);
    const blocks = engine.encode(bytes);
    const target = files.fileOf(`same-${threads}`, new Uint8Array(0));
    const pages = Array.from({ length: FILL_PAGES_MAX }, (_, page) => page);
    const slots = pages.map(() => 1);
    expect(await fillInto(target, { blocks, slots, pages, offsetBytes: 512 })).toEqual([]);
    const found = readFileSync(target.path).subarray(512);
    expect(found.length).toBe(FILL_PAGES_MAX * PAGE_BYTES);
    const page = Buffer.from(pageAt(bytes, 1));
    expect(pages.every((p) => page.equals(pageAt(found, p)))).toBe(true);
  });

  test('fills past a damaged block that nobody asks for, and writes nothing of one that is', async () => {
    const bytes = textBytes(5 * BLOCK_PAGES * PAGE_BYTES, 31);
    const blocks = engine.encode(bytes);
    blocks.bytes[blocks.lengths[0]! + blocks.lengths[1]! + 9]! ^= 1;
    const target = files.fileOf(`past-${threads}`, new Uint8Array(0));
    const slots = [0, 7, 12, 19];
    expect(await fillInto(target, { blocks, slots, pages: [0, 1, 2, 3] })).toEqual([]);
    const found = readFileSync(target.path);
    for (const [page, slot] of slots.entries())
      expect(hex(pageAt(found, page))).toBe(hex(pageAt(bytes, slot)));
    // Of blocks 0, 2 and 4 the second one asked for is damaged.
    expect(await fillInto(target, { blocks, slots: [1, 9, 17], pages: [0, 1, 2] })).toEqual([1]);
    expect(readFileSync(target.path).equals(found)).toBe(true);
  });

  test('lays pages onto one another in whatever order they come, into what no fill left there', async () => {
    const bytes = randomBytes(3 * BLOCK_PAGES * PAGE_BYTES, 36);
    const blocks = engine.encode(bytes);
    const target = files.fileOf(`laid-${threads}`, randomBytes(40 * PAGE_BYTES, 37));
    const of = [[8, 1, 5], [3], [11, 0], [0, 11, 8, 2]];
    for (let again = 0; again < 2; again += 1) {
      const rows = of.flatMap((slots, page) => slots.map((slot) => ({ slot, page: 7 * page })));
      const slots = rows.map(({ slot }) => slot);
      const pages = rows.map(({ page }) => page);
      expect(await fillInto(target, { blocks, slots, pages })).toEqual([]);
    }
    const found = readFileSync(target.path);
    for (const [page, slots] of of.entries()) {
      const expected = new Uint8Array(PAGE_BYTES);
      for (const slot of slots)
        for (const [i, byte] of pageAt(bytes, slot).entries()) expected[i]! ^= byte;
      expect(hex(pageAt(found, 7 * page))).toBe(hex(expected));
    }
  });

  test('reads pieces of files itself, and says which blocks it could not read', async () => {
    const bytes = textBytes(4 * BLOCK_PAGES * PAGE_BYTES, 38);
    const blocks = engine.encode(bytes);
    const [first, second] = [blocks.lengths[0]!, blocks.lengths[1]!];
    // The second block lies in a file alone, which may be cut.
    const whole = files.fileOf(`piece-${threads}`, Uint8Array.of(1, 2, 3, ...blocks.bytes));
    const part = blocks.bytes.subarray(first, first + second);
    const at = files.fileOf(`part-${threads}`, Uint8Array.of(9, ...part));
    const target = files.fileOf(`pieces-${threads}`, new Uint8Array(0));
    const asked = fillRequest(target, { blocks, slots: [0, 5, 10, 15], pages: [3, 2, 1, 0] });
    const file = memoryOfDescriptor(whole.fd);
    const request = {
      ...asked,
      starts: asked.starts.map((start, block) => (block < 2 ? 0 : start - first - second)),
      pieces: [
        { from: file, offsetBytes: 3, lengthBytes: first, endBlock: 1, label: 'a' },
        {
          from: memoryOfDescriptor(at.fd),
          offsetBytes: 1,
          lengthBytes: second,
          endBlock: 2,
          label: 'b',
        },
        {
          from: file,
          offsetBytes: 3 + first + second,
          lengthBytes: blocks.bytes.length - first - second,
          endBlock: 4,
          label: 'a',
        },
      ],
    };
    expect(await engine.fill(request)).toEqual([]);
    const found = readFileSync(target.path);
    for (const [i, page] of [3, 2, 1, 0].entries())
      expect(hex(pageAt(found, page))).toBe(hex(pageAt(bytes, 5 * i)));
    truncateSync(at.path, second);
    expect(await engine.fill(request)).toEqual([1]);
  });

  test('takes no length and no place for granted', async () => {
    const blocks = engine.encode(textBytes(2 * BLOCK_PAGES * PAGE_BYTES, 39));
    const target = files.fileOf(`bounds-${threads}`, new Uint8Array(0));
    const asked = fillRequest(target, { blocks, slots: [0, 4], pages: [0, 1] });
    for (const wrong of [
      { ...asked, starts: Uint32Array.of(0, blocks.bytes.length) },
      { ...asked, blocks: { ...asked.blocks, pages: Uint8Array.of(4, 255) } },
      { ...asked, blocks: { ...asked.blocks, pages: Uint8Array.of(4, 3) } },
      {
        ...asked,
        blocks: { ...asked.blocks, lengths: Uint32Array.of(blocks.lengths[0]!, 2 ** 31) },
      },
    ])
      expect(await engine.fill(wrong)).toEqual([1]);
    expect(readFileSync(target.path)).toHaveLength(0);
    const beyond = { ...asked, slots: Uint8Array.of(0, 4) };
    await expect(engine.fill(beyond)).rejects.toThrow('a row is of its block');
  });

  test('says that the disk is full, and that a target cannot be written', async () => {
    const blocks = engine.encode(textBytes(PAGE_BYTES, 32));
    const full = files.open('/dev/full', 'r+');
    const readable = files.open(files.fileOf(`readable-${threads}`, new Uint8Array(0)).path, 'r');
    const fill = { blocks, slots: [0], pages: [0] };
    await expect(fillInto({ fd: full }, fill)).rejects.toMatchObject({ code: 'DISK_FULL' });
    await expect(fillInto({ fd: readable }, fill)).rejects.toMatchObject({
      code: 'TARGET_UNWRITABLE',
    });
  });
});
