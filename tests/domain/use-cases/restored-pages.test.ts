// Whatever pages hold and however packs are laid out, all who read get the same bytes: into a file, in
// order, a few at a time; from files, which threads read themselves, and from a store without files.

import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { nodeFiles } from '../../../adapters/files/files.ts';
import { memoryOfDescriptor } from '../../../adapters/files/memory-file.ts';
import { createPageEngine } from '../../../adapters/kernels/engine/page-engine.ts';
import {
  openPagePacks,
  type PagePacks,
} from '../../../adapters/stores/page-store-folder/page-packs.ts';
import type { PageEngine } from '../../../domain/ports/page-engine.ts';
import { FILL_PAGES_MAX } from '../../../domain/ports/page-engine.ts';
import type { PageStore } from '../../../domain/ports/page-store.ts';
import { PageReader } from '../../../domain/use-cases/pages/page-reader.ts';
import {
  ASK_STORE_US,
  batchesOf,
  OPEN_FILE_US,
} from '../../../domain/use-cases/pages/page-batches.ts';
import { patternBlockOf } from '../../../domain/use-cases/pages/page-filler.ts';
import {
  planPages,
  packOfBlock,
  type PagePlan,
} from '../../../domain/use-cases/pages/page-plan.ts';
import { FIRST_CONTENT, UNKNOWN, ZERO, type Holding } from '../../../domain/values/holding.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { seededRandom } from '../../support/images.ts';
import { makePacks, type MadePacks, type PackLayout } from '../../support/packs/made-packs.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';
import { triesOf } from '../../support/long-run.ts';

const layouts: fc.Arbitrary<PackLayout> = fc.record({
  seed: fc.nat(),
  packs: fc.integer({ min: 1, max: 4 }),
  pagesOfPack: fc.integer({ min: 1, max: 40 }),
  blockPages: fc.constantFrom(1, 4, 30),
  patchesOfTen: fc.constantFrom(0, 3, 8),
});

/** What pages hold: contents, more often neighbours, zeros, public patterns, and what is lost. */
function tableOf(
  { count }: MadePacks,
  {
    seed,
    pages,
    isWhole,
  }: { readonly seed: number; readonly pages: number; readonly isWhole: boolean },
): Uint32Array {
  const random = seededRandom(seed);
  let last = 0;
  return Uint32Array.from({ length: pages }, (): Holding => {
    const draw = random(10);
    if (draw === 0) return ZERO;
    if (draw === 1) return 1 + random(3);
    if (draw === 2 && !isWhole) return UNKNOWN;
    last = draw < 6 ? random(count) : (last + 1) % count;
    return FIRST_CONTENT + last;
  });
}

const bytesOf = (packs: MadePacks, table: Uint32Array): Buffer =>
  Buffer.concat(Array.from(table, (holding) => packs.pageOf(holding)));

/** The same packs as of a store that keeps them in no files. */
function withoutFiles(packs: PagePacks): PageStore {
  const { fileOf, ...ranges } = packs;
  expect(fileOf).toBeDefined();
  return ranges;
}

let folder: TemporaryFolder;
let store: PagePacks;
beforeAll(async () => {
  folder = await makeTemporaryFolder();
});
beforeEach(() => {
  store = openPagePacks({ files: nodeFiles, folder: join(folder.path, 'packs') });
});
afterEach(() => store.close());
afterAll(() => folder.remove());

/** Pages in a file that was filled in, and those that were told to be lost. */
async function filled(reader: PageReader, table: Uint32Array) {
  const path = join(folder.path, `filled-${Math.random()}`);
  const fd = openSync(path, 'wx+');
  try {
    ftruncateSync(fd, table.length * PAGE_BYTES);
    const lost: number[] = [];
    await reader.fill(
      { table, label: 'a point', onLost: (pages) => lost.push(...pages) },
      { file: memoryOfDescriptor(fd), offsetBytes: 0 },
    );
    return { bytes: readFileSync(path), lost };
  } finally {
    closeSync(fd);
  }
}

/** The same in order. */
async function ordered(reader: PageReader, table: Uint32Array) {
  const bytes = Buffer.alloc(table.length * PAGE_BYTES);
  const lost: number[] = [];
  const request = { table, label: 'a point', onLost: (pages: Uint32Array) => lost.push(...pages) };
  for await (const run of reader.inOrder(request)) bytes.set(run.pages, run.firstPage * PAGE_BYTES);
  return { bytes, lost };
}

describe.each([
  ['inline', 0, (packs: PagePacks): PageStore => packs],
  ['on threads', 2, (packs: PagePacks): PageStore => packs],
  ['on threads, without files', 2, (packs: PagePacks): PageStore => withoutFiles(packs)],
] as const)('%s', (_, threads, seen) => {
  let engine: PageEngine;
  beforeAll(() => {
    engine = createPageEngine({ threads });
  });
  afterAll(() => engine.close());

  test('pages are what their chains make them, for every reader', async () => {
    await fc.assert(
      fc.asyncProperty(
        layouts,
        fc.nat(),
        fc.integer({ min: 1, max: 1500 }),
        async (layout, seed, pages) => {
          const packs = await makePacks({ engine, store }, layout);
          const reader = new PageReader({
            engine,
            store: seen(store),
            locator: () => packs.locator,
          });
          const table = tableOf(packs, { seed, pages, isWhole: true });
          const expected = bytesOf(packs, table);
          for (const found of [await filled(reader, table), await ordered(reader, table)]) {
            expect(found.lost).toEqual([]);
            expect(found.bytes.equals(expected)).toBe(true);
          }
          const few = table.subarray(0, 50);
          const room = new Uint8Array(few.length * PAGE_BYTES).fill(3);
          expect(expected.subarray(0, room.length).equals(await reader.read(few, room))).toBe(true);
        },
      ),
      { numRuns: triesOf(8) },
    );
  });

  test('of damaged packs exactly those are lost that need a damaged block, and all others whole', async () => {
    await fc.assert(
      fc.asyncProperty(layouts, fc.nat(), async (layout, seed) => {
        const packs = await makePacks({ engine, store }, layout);
        const table = tableOf(packs, { seed, pages: 300, isWhole: false });
        const random = seededRandom(seed);
        const hit = packs.blocksOf(FIRST_CONTENT + random(packs.count))[0]!;
        await damage(hit.pack.name, hit.offsetBytes);
        const isLost = (holding: Holding): boolean =>
          holding === UNKNOWN ||
          packs
            .blocksOf(holding)
            .some(({ pack, offsetBytes }) => pack === hit.pack && offsetBytes === hit.offsetBytes);
        const lost = [...table.keys()].filter((page) => isLost(table[page]!));
        const left = table.map((holding) => (isLost(holding) ? ZERO : holding));
        const reader = new PageReader({ engine, store: seen(store), locator: () => packs.locator });
        for (const found of [await filled(reader, table), await ordered(reader, table)]) {
          expect(found.lost).toEqual(lost);
          expect(found.bytes.equals(bytesOf(packs, left))).toBe(true);
        }
      }),
      { numRuns: triesOf(8) },
    );
  });

  async function damage(name: string, offsetBytes: number): Promise<void> {
    const fd = openSync(join(folder.path, 'packs', name.slice(0, 2), name), 'r+');
    const byte = readFileSync(join(folder.path, 'packs', name.slice(0, 2), name))[offsetBytes]!;
    writeSync(fd, Uint8Array.of(byte ^ 1), 0, 1, offsetBytes);
    closeSync(fd);
  }
});

describe('batches', () => {
  let engine: PageEngine;
  beforeAll(() => {
    engine = createPageEngine({ threads: 0 });
  });
  afterAll(() => engine.close());

  const planned = (packs: MadePacks, table: Uint32Array): PagePlan =>
    planPages({ locator: packs.locator, patternBlock: patternBlockOf(engine) }, table, null);

  test('have every page once, with all that it is made of, and each block once', async () => {
    await fc.assert(
      fc.asyncProperty(
        layouts,
        fc.nat(),
        fc.integer({ min: 1, max: 90 }),
        fc.constantFrom(OPEN_FILE_US, ASK_STORE_US),
        async (layout, seed, max, openUs) => {
          const packs = await makePacks({ engine, store }, layout);
          const table = tableOf(packs, { seed, pages: 500, isWhole: true });
          const plan = planned(packs, table);
          const rows = new Map<number, string[]>();
          for (const batch of batchesOf(plan, { pagesMax: max, openUs })) {
            expect(batch.pages.length).toBeLessThanOrEqual(max);
            expect([...batch.pages]).toEqual([...batch.pages].toSorted((a, b) => a - b));
            expect([...batch.blocks]).toEqual([...new Set(batch.blocks)].toSorted((a, b) => a - b));
            for (const page of batch.pages) {
              expect(rows.has(page)).toBe(false);
              rows.set(page, []);
            }
            let row = 0;
            for (const [i, end] of batch.rowEnds.entries())
              for (; row < end; row += 1)
                rows
                  .get(batch.pages[batch.rooms[row]!]!)!
                  .push(`${batch.blocks[i]}/${batch.slots[row]}`);
          }
          for (const [i, page] of plan.pages.entries()) {
            const expected: string[] = [];
            for (let row = plan.rowStarts[i]!; row < plan.rowStarts[i + 1]!; row += 1)
              expected.push(`${plan.blocks[row]}/${plan.slots[row]}`);
            expect(rows.get(page)!.toSorted()).toEqual(expected.toSorted());
          }
          expect([...rows.keys()].toSorted((a, b) => a - b)).toEqual([...plan.pages]);
        },
      ),
      { numRuns: triesOf(10) },
    );
  });

  /** Pages that are decoded for all batches, and those of all blocks that are needed. */
  function decoded(plan: PagePlan): { readonly pages: number; readonly needed: number } {
    const pagesOf = (block: number): number => {
      const pack = packOfBlock(plan, block);
      return pack.table.pages[block - pack.firstBlock]!;
    };
    let pages = 0;
    for (const { blocks } of batchesOf(plan, FILES))
      for (const block of blocks) pages += pagesOf(block);
    let needed = 0;
    for (const block of new Set(plan.blocks)) needed += pagesOf(block);
    return { pages, needed };
  }

  const FILES = { pagesMax: FILL_PAGES_MAX, openUs: OPEN_FILE_US };
  const PAGES = 4 * FILL_PAGES_MAX;
  const SEVERAL = { seed: 1, packs: 4, pagesOfPack: FILL_PAGES_MAX, patchesOfTen: 0 };

  test('decode a large block once where its pages are far from each other', async () => {
    const packs = await makePacks({ engine, store }, { ...SEVERAL, blockPages: 60 });
    const random = seededRandom(2);
    const keys = Float64Array.from({ length: PAGES }, (_, i) => random(2 ** 30) * PAGES + i);
    const scattered = Uint32Array.from(keys.toSorted(), (key) => FIRST_CONTENT + (key % PAGES));
    const { pages, needed } = decoded(planned(packs, scattered));
    expect(needed).toBe(PAGES);
    // But for the blocks that lie on the edge of two batches.
    expect(pages).toBeLessThanOrEqual(needed + 4 * 64);
  });

  test('have neighbours where blocks are of neighbours', async () => {
    const packs = await makePacks({ engine, store }, { ...SEVERAL, blockPages: 4 });
    const table = Uint32Array.from({ length: PAGES }, (_, page) => FIRST_CONTENT + page);
    for (const { pages } of batchesOf(planned(packs, table), FILES))
      expect(pages.at(-1)! - pages[0]!).toBe(pages.length - 1);
  });

  test('are of what lies together where each range has to be asked for', async () => {
    // Both halves of a VM lie in both packs, a page of one after a page of the other.
    const packs = await makePacks({ engine, store }, { ...SEVERAL, packs: 2, blockPages: 1 });
    const { count } = packs;
    const table = Uint32Array.from(
      { length: count },
      (_, page) => FIRST_CONTENT + ((page * 2) % count) + (2 * page >= count ? 1 : 0),
    );
    const asked = (openUs: number): number => {
      const plan = planned(packs, table);
      let ranges = 0;
      for (const { blocks } of batchesOf(plan, { pagesMax: count / 2, openUs }))
        ranges += new Set(Array.from(blocks, (block) => packOfBlock(plan, block))).size;
      return ranges;
    };
    expect([OPEN_FILE_US, ASK_STORE_US].map(asked)).toEqual([4, 2]);
  });
});
