import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { memoryOfDescriptor } from '../../../adapters/files/memory-file.ts';
import fc from 'fast-check';
import { deriveEngineKeys } from '../../../adapters/kernels/keys.ts';
import { loadKernels } from '../../../adapters/kernels/engine/kernels.ts';
import { createPageEngine } from '../../../adapters/kernels/engine/page-engine.ts';
import { FINGERPRINT_BYTES } from '../../../domain/ports/page-engine.ts';
import type { PageEngine, PatchedBlocks, ScannedChunk } from '../../../domain/ports/page-engine.ts';
import { BLOCK_PAGES, BLOCK_PAGES_MAX, PAGE_BYTES } from '../../../domain/values/page.ts';
import { PATCH_BYTES_MAX } from '../../../domain/events/patches.ts';
import { fillRequest, joined } from '../../support/packs/fill-requests.ts';
import { pageAt } from '../../support/images.ts';
import { openFiles, type OpenFiles } from '../../support/disks/open-files.ts';
import { numbers, randomBytes, textBytes } from './random-pages.ts';
import { triesOf } from '../../support/long-run.ts';

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;
const maskOf = (page: Uint8Array, reference: Uint8Array): Uint8Array =>
  page.map((byte, at) => byte ^ reference[at]!);

/** A page of which exactly `count` bytes differ from these, at random places. */
function changed(page: Uint8Array, count: number, seed: number): Uint8Array {
  const next = numbers(seed);
  const places = new Set<number>();
  while (places.size < count) places.add(next() % PAGE_BYTES);
  const copy = page.slice();
  for (const place of places) copy[place]! ^= 1 + (next() % 255);
  return copy;
}

describe('the mask of two pages', () => {
  const kernels = loadKernels({ arenaBytes: 4 * PAGE_BYTES });
  const [page, reference, out] = [0, 1, 2].map((place) => kernels.arena + place * PAGE_BYTES) as [
    number,
    number,
    number,
  ];
  const at = (address: number): Uint8Array => kernels.bytes.subarray(address, address + PAGE_BYTES);

  test('is their XOR, counts the bytes that differ, and gives the page back', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1 }),
        fc.oneof(fc.nat({ max: 40 }), fc.nat({ max: PAGE_BYTES })),
        (seed, count) => {
          const [old, end] = [randomBytes(PAGE_BYTES, seed), out + PAGE_BYTES];
          const young = changed(old, count, seed);
          kernels.bytes.set(young, page);
          kernels.bytes.set(old, reference);
          kernels.bytes.fill(0x5a, end, end + 64);
          expect(kernels.patch({ page, reference }, out)).toBe(count);
          expect(same(at(out), maskOf(young, old))).toBe(true);
          expect(same(at(page), young) && same(at(reference), old)).toBe(true);
          kernels.patch({ page: out, reference }, out);
          expect(same(at(out), young)).toBe(true);
          expect(kernels.bytes.subarray(end, end + 64).every((byte) => byte === 0x5a)).toBe(true);
        },
      ),
      { numRuns: triesOf(60) },
    );
  });

  test('counts a single differing bit anywhere, and bytes that all differ', () => {
    const old = randomBytes(PAGE_BYTES, 3);
    kernels.bytes.set(old, reference);
    kernels.bytes.set(old, page);
    for (let place = 0; place < PAGE_BYTES; place += 1) {
      kernels.bytes[page + place]! ^= 1 << (place & 7);
      expect(kernels.patch({ page, reference }, out)).toBe(1);
      kernels.bytes[page + place] = old[place]!;
    }
    kernels.bytes.set(
      old.map((byte) => byte ^ 0x80),
      page,
    );
    expect(kernels.patch({ page, reference }, out)).toBe(PAGE_BYTES);
  });
});

describe.each([0, 2])('an engine with %i threads', (threads) => {
  let engine: PageEngine;
  let files: OpenFiles;
  beforeAll(async () => {
    files = openFiles();
    engine = createPageEngine({ threads });
    await engine.useKeys(deriveEngineKeys(randomBytes(32, 1)));
  });
  afterAll(async () => {
    files.remove();
    await engine.close();
  });

  async function scanned(name: string, bytes: Uint8Array): Promise<ScannedChunk> {
    const pageCount = bytes.length / PAGE_BYTES;
    const { fd } = files.fileOf(name, bytes);
    const image = {
      file: memoryOfDescriptor(fd),
      offsetBytes: 0,
      pageCount,
      zeros: null,
      label: name,
    };
    const next = new SharedArrayBuffer(pageCount * FINGERPRINT_BYTES);
    return engine.scan({ image, firstPage: 0, pageCount, previous: null, next });
  }

  /** Pages that differ from their references in these numbers of bytes; null: it has none. */
  function versions(counts: readonly (number | null)[], seed: number) {
    const old = textBytes(counts.length * PAGE_BYTES, seed);
    const young = new Uint8Array(counts.length * PAGE_BYTES);
    for (const [i, count] of counts.entries())
      young.set(changed(pageAt(old, i), count ?? 5, seed + i + 1), i * PAGE_BYTES);
    const of = Int32Array.from(counts, (count, i) => (count === null ? -1 : i));
    return { old, young, of };
  }

  /** The pages that blocks with patches stand for. */
  function pagesBack(
    blocks: PatchedBlocks,
    references: { readonly pages: Uint8Array; readonly of: Int32Array },
  ): Uint8Array {
    const back = engine.decode({ bytes: blocks.bytes, blocks, label: 'pack abc' });
    for (const [row, isPatched] of blocks.patched.entries())
      if (isPatched === 1) {
        const reference = pageAt(references.pages, references.of[row]!);
        pageAt(back, row).set(maskOf(pageAt(back, row), reference));
      }
    return back;
  }

  const COUNTS = [0, 1, PATCH_BYTES_MAX - 1, PATCH_BYTES_MAX, null, 4000, 77, null, null, 3];
  const PATCHED = [1, 1, 1, 0, 0, 0, 1, 0, 0, 1];

  test.each(['shared', 'private'])(
    'keeps a page as a patch where under half of its bytes differ (references in %s memory)',
    async (memory) => {
      const { old, young, of } = versions(COUNTS, 11);
      let pages = old;
      if (memory === 'shared') {
        pages = new Uint8Array(new SharedArrayBuffer(old.length));
        pages.set(old);
      }
      const chunk = await scanned(`rule-${threads}-${memory}`, young);
      const rows = Uint32Array.from(COUNTS.keys());
      const blocks = await chunk.store({ rows, cuts: [6], references: { pages, of } });
      expect([...blocks.patched]).toEqual(PATCHED);
      expect([...blocks.pages]).toEqual([BLOCK_PAGES, 2, BLOCK_PAGES]);
      expect(same(pagesBack(blocks, { pages: old, of }), young)).toBe(true);
      // The chunk's pages are what they were: the same rows can be stored again, and plain.
      const plain = await chunk.store({ rows, cuts: [6] });
      expect(plain.patched.some((isPatched) => isPatched === 1)).toBe(false);
      expect(same(pagesBack(plain, { pages: old, of }), young)).toBe(true);
      chunk.release();
      expect(same(pages, old)).toBe(true);
    },
  );

  test('takes rows in any order, and one reference for several of them', async () => {
    const base = textBytes(PAGE_BYTES, 12);
    const young = new Uint8Array(20 * PAGE_BYTES);
    for (let page = 0; page < 20; page += 1)
      young.set(changed(base, 40 + page, 50 + page), page * PAGE_BYTES);
    const rows = Uint32Array.from({ length: 20 }, (_, i) => 19 - i);
    const of = new Int32Array(20);
    const chunk = await scanned(`order-${threads}`, young);
    const blocks = await chunk.store({ rows, cuts: [], references: { pages: base, of } });
    const back = pagesBack(blocks, { pages: base, of });
    for (const [i, row] of rows.entries())
      expect(same(pageAt(back, i), pageAt(young, row))).toBe(true);
    chunk.release();
  });

  test('refuses references that are not at hand', async () => {
    const { old, young } = versions([1, 1], 13);
    const chunk = await scanned(`refuse-${threads}`, young);
    const store = (of: Int32Array) =>
      chunk.store({ rows: Uint32Array.of(0, 1), cuts: [], references: { pages: old, of } });
    await expect(store(Int32Array.of(0))).rejects.toThrow('each page asked for');
    await expect(store(Int32Array.of(0, 2))).rejects.toThrow('one of those at hand');
    await expect(store(Int32Array.of(0, -2))).rejects.toThrow('one of those at hand');
    chunk.release();
  });

  test('lays patches onto what they are patches of, wherever they go', async () => {
    const counts = Array.from({ length: 650 }, (_, i) => (i % 5 === 0 ? null : 1 + (i % 300)));
    const { old, young, of } = versions(counts, 14);
    const target = files.fileOf(`xor-${threads}`, new Uint8Array(0));
    const chunk = await scanned(`xor-source-${threads}`, young);
    const rows = Uint32Array.from({ length: 650 }, (_, row) => row);
    const references = { pages: old, of };
    const blocks = await chunk.store({ rows, cuts: [], references });
    const patched = [...rows].filter((row) => blocks.patched[row] === 1);
    expect(patched.length).toBe(520);
    const placeOf = (row: number): number => (row * 7) % 650;
    const onto = engine.encode(old);
    const failed = await engine.fill(
      fillRequest(target, {
        // Masks come first, and then what they go onto.
        blocks: joined(blocks, onto),
        slots: [...patched, ...patched.map((row) => 650 + of[row]!)],
        pages: [...patched, ...patched].map(placeOf),
        offsetBytes: 512,
      }),
    );
    expect(failed).toEqual([]);
    const found = readFileSync(target.path).subarray(512);
    for (const row of patched)
      expect(same(pageAt(found, placeOf(row)), pageAt(young, row))).toBe(true);
    chunk.release();
  });

  test('packs pages into blocks of up to the most pages, each level giving them back', async () => {
    const pages = textBytes(150 * PAGE_BYTES, 16);
    const sizes = new Map<number, number>();
    for (const level of [1, 9, 19]) {
      const blocks = await engine.pack({ pages, cuts: [10, 11, 100], level });
      expect([...blocks.pages]).toEqual([10, 1, BLOCK_PAGES_MAX, 100 - 11 - BLOCK_PAGES_MAX, 50]);
      const back = engine.decode({ bytes: blocks.bytes, blocks, label: 'pack abc' });
      expect(same(back, pages)).toBe(true);
      sizes.set(level, blocks.bytes.length);
    }
    expect(sizes.get(9)!).toBeLessThan(sizes.get(1)!);
    expect(sizes.get(19)!).toBeLessThan(sizes.get(9)!);
  });

  test('packs patches too, many calls at once', async () => {
    const { old, young, of } = versions(COUNTS, 17);
    const references = { pages: old, of };
    const calls = Array.from({ length: 9 }, () =>
      engine.pack({ pages: young, cuts: [4, 5], level: 3, references }),
    );
    for (const blocks of await Promise.all(calls)) {
      expect([...blocks.patched]).toEqual(PATCHED);
      expect([...blocks.pages]).toEqual([4, 1, 5]);
      expect(same(pagesBack(blocks, references), young)).toBe(true);
    }
  });
});
