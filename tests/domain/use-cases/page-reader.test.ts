// One reader for all who read pages: what it does where content was moved, is lost, or is waited for.

import { createHash } from 'node:crypto';
import { closeSync, ftruncateSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import * as taskEither from 'fp-ts/lib/TaskEither.js';
import { memoryOfDescriptor } from '../../../adapters/files/memory-file.ts';
import { createPageEngine } from '../../../adapters/kernels/engine/page-engine.ts';
import { createMemoryPageStore } from '../../../adapters/stores/page-store-memory/page-store-memory.ts';
import { NO_PATCHES } from '../../../domain/events/patches.ts';
import type { PageLocator, ReadPack } from '../../../domain/ports/models.ts';
import type { PageEngine } from '../../../domain/ports/page-engine.ts';
import type { PageStore } from '../../../domain/ports/page-store.ts';
import { PageReader, type BulkRequest } from '../../../domain/use-cases/pages/page-reader.ts';
import { FIRST_CONTENT, UNKNOWN, ZERO, type Holding } from '../../../domain/values/holding.ts';
import { PACK_HEADER_BYTES, packHeader } from '../../../domain/values/pack.ts';
import { BLOCK_PAGES, PACK_SLOTS, PAGE_BYTES } from '../../../domain/values/page.ts';
import { seededRandom } from '../../support/images.ts';
import { valueOf } from '../../support/outcomes.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

/** Pages of a pack: two blocks. */
const PACK_PAGES = 2 * BLOCK_PAGES;
const random = seededRandom(23);
const noise = (): Uint8Array =>
  Uint8Array.from({ length: PACK_PAGES * PAGE_BYTES }, () => random(256));
/** What the first pack holds, and the masks of the second, each for the page in the same slot. */
const [wholes, masks] = [noise(), noise()];
const patched = wholes.map((byte, i) => byte ^ masks[i]!);
const pageOf = (pages: Uint8Array, page: number): Buffer =>
  Buffer.from(pages.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES));

const whole = (slot: number): Holding => FIRST_CONTENT + slot;
const patch = (slot: number): Holding => FIRST_CONTENT + PACK_PAGES + slot;

let folder: TemporaryFolder;
let engine: PageEngine;
let store: PageStore;
let packs: ReadPack[];

const locator: PageLocator = {
  placeOf: (holding) => {
    const content = holding - FIRST_CONTENT;
    return Math.floor(content / PACK_PAGES) * PACK_SLOTS + (content % PACK_PAGES);
  },
  packAt: (place) => packs[Math.floor(place / PACK_SLOTS)]!,
  referenceAt: (place) => (place < PACK_SLOTS ? null : whole(place % PACK_SLOTS)),
};

async function putPack(pages: Uint8Array, ordinal: number): Promise<void> {
  const blocks = engine.encode(pages);
  const header = packHeader({ group: 'g', random: new Uint8Array(16).fill(ordinal) });
  const bytes = Uint8Array.of(...header, ...blocks.bytes);
  const name = createHash('sha256').update(bytes).digest('hex');
  await valueOf(store.put({ name, bytes }));
  packs.push({
    ordinal,
    name,
    sizeBytes: bytes.length,
    blocks,
    patches: NO_PATCHES,
    references: new Uint32Array(0),
  });
}

beforeAll(async () => {
  folder = await makeTemporaryFolder();
  engine = createPageEngine({ threads: 0 });
});
beforeEach(async () => {
  store = createMemoryPageStore();
  packs = [];
  await putPack(wholes, 0);
  await putPack(masks, 1);
});
afterAll(async () => {
  await engine.close();
  await folder.remove();
});

/** A store that changes a byte of one block of one pack. */
const damaged = (ordinal: number, block: number): PageStore => ({
  ...store,
  get: (range) =>
    taskEither.map((read: Uint8Array) => {
      const { name, blocks } = packs[ordinal]!;
      const lengths = blocks.lengths.subarray(0, block);
      const at = lengths.reduce((sum, length) => sum + length, PACK_HEADER_BYTES);
      const bytes = read.slice();
      const isIn = at >= range.offsetBytes && at < range.offsetBytes + range.lengthBytes;
      if (range.name === name && isIn) bytes[at - range.offsetBytes]! ^= 1;
      return bytes;
    })(store.get(range)),
});

/** Pages written into a file, and those that were told as lost. */
async function filled(reader: PageReader, table: Uint32Array) {
  const path = join(folder.path, `filled-${random(2 ** 30)}`);
  const fd = openSync(path, 'wx+');
  ftruncateSync(fd, table.length * PAGE_BYTES);
  const lost: number[] = [];
  const onLost: BulkRequest['onLost'] = (pages) => lost.push(...pages);
  await reader.fill(
    { table, label: 'a point', onLost },
    { file: memoryOfDescriptor(fd), offsetBytes: 0 },
  );
  closeSync(fd);
  return { bytes: readFileSync(path), lost };
}

/** The same pages in order. */
async function ordered(reader: PageReader, table: Uint32Array) {
  const bytes = Buffer.alloc(table.length * PAGE_BYTES);
  const lost: number[] = [];
  const onLost: BulkRequest['onLost'] = (pages) => lost.push(...pages);
  for await (const { firstPage, pages } of reader.inOrder({ table, label: 'a point', onLost }))
    bytes.set(pages, firstPage * PAGE_BYTES);
  return { bytes, lost };
}

describe('what is decoded already', () => {
  const room = (): Uint8Array => new Uint8Array(3 * PAGE_BYTES).fill(7);

  test('is given at once, patches put onto their references, and nothing is read for it', async () => {
    let gets = 0;
    const counted: PageStore = {
      ...store,
      get: (range) => {
        gets += 1;
        return store.get(range);
      },
    };
    const reader = new PageReader({ engine, store: counted, locator: () => locator });
    const holdings = [patch(BLOCK_PAGES), ZERO, whole(0)];
    expect(reader.readKept(holdings, room())).toBe(false);
    expect(gets).toBe(0);
    const read = await reader.read(holdings, room());
    const before = gets;
    const kept = room();
    expect(reader.readKept(holdings, kept)).toBe(true);
    expect(Buffer.from(kept).equals(read)).toBe(true);
    expect(pageOf(kept, 0).equals(pageOf(patched, BLOCK_PAGES))).toBe(true);
    // Its neighbours are kept with it, a block is not that nobody read, and a pattern is made.
    expect(reader.readKept([patch(PACK_PAGES - 1)], room())).toBe(true);
    expect(reader.readKept([patch(0)], room())).toBe(false);
    expect(reader.readKept([ZERO, 1, whole(0)], kept)).toBe(true);
    expect(gets).toBe(before);
    expect(Buffer.from(kept).equals(await reader.read([ZERO, 1, whole(0)], room()))).toBe(true);
  });

  test('is told to be lost where it is', () => {
    const reader = new PageReader({ engine, store, locator: () => locator });
    expect(() => reader.readKept([UNKNOWN], room())).toThrow('lost');
  });
});

describe('damage that is told page by page', () => {
  test.each([
    ['into a file', filled],
    ['in order', ordered],
  ])('leaves zeros for what is lost, %s', async (_, written) => {
    // The second block of masks is damaged: patches in it are lost, what they refer to is not.
    const reader = new PageReader({ engine, store: damaged(1, 1), locator: () => locator });
    const sound = [0, BLOCK_PAGES - 1];
    const lost = [BLOCK_PAGES, PACK_PAGES - 1];
    const table = Uint32Array.of(
      ...[...sound, ...lost].map(patch),
      UNKNOWN,
      ZERO,
      ...lost.map(whole),
    );
    const zeros = Buffer.alloc(PAGE_BYTES);
    const found = await written(reader, table);
    expect(found.lost).toEqual([2, 3, 4]);
    expect(
      Buffer.concat([
        ...sound.map((page) => pageOf(patched, page)),
        ...Array.from({ length: 4 }, () => zeros),
        ...lost.map((page) => pageOf(wholes, page)),
      ]).equals(found.bytes),
    ).toBe(true);
  });

  test.each([
    ['into a file', filled],
    ['in order', ordered],
  ])('takes patches along with what they refer to, %s', async (_, written) => {
    const reader = new PageReader({ engine, store: damaged(0, 0), locator: () => locator });
    const table = Uint32Array.of(patch(0), patch(BLOCK_PAGES), whole(1));
    const found = await written(reader, table);
    expect(found.lost).toEqual([0, 2]);
    expect(pageOf(found.bytes, 1).equals(pageOf(patched, BLOCK_PAGES))).toBe(true);
    expect(pageOf(found.bytes, 0).every((byte) => byte === 0)).toBe(true);
  });

  test.each([
    ['into a file', filled],
    ['in order', ordered],
  ])('tells the pages of a pack that is gone, %s', async (_, written) => {
    await valueOf(store.delete(packs[1]!.name));
    let asked = 0;
    const catchUp = async (): Promise<void> => {
      asked += 1;
    };
    const reader = new PageReader({ engine, store, locator: () => locator, catchUp });
    const { lost } = await written(reader, Uint32Array.of(whole(3), patch(0), patch(1)));
    expect(lost).toEqual([1, 2]);
    expect(asked).toBe(1);
  });

  test('is thrown where nobody asks for lost pages', async () => {
    const reader = new PageReader({ engine, store: damaged(0, 0), locator: () => locator });
    const pages = async (table: Uint32Array) => {
      for await (const run of reader.inOrder({ table, label: 'a point' })) expect(run).toBeNull();
    };
    await expect(pages(Uint32Array.of(whole(0)))).rejects.toMatchObject({ code: 'PACK_DAMAGED' });
    await expect(pages(Uint32Array.of(UNKNOWN))).rejects.toMatchObject({
      code: 'POINT_DAMAGED',
      facts: { gfn: 0 },
    });
    await expect(reader.read([whole(0)], new Uint8Array(PAGE_BYTES))).rejects.toMatchObject({
      code: 'PACK_DAMAGED',
    });
  });
});

describe('content that compaction moved', () => {
  /** The second pack is gone; who catches up learns that its pages lie in a third. */
  async function moved(): Promise<PageReader> {
    const gone = packs[1]!;
    await valueOf(store.delete(gone.name));
    let isKnown = false;
    return new PageReader({
      engine,
      store,
      locator: () => (isKnown ? { ...locator, packAt: (place) => packAt(place) } : locator),
      catchUp: async () => {
        await putPack(masks, 1);
        isKnown = true;
      },
    });
  }
  const packAt = (place: number): ReadPack => (place < PACK_SLOTS ? packs[0]! : packs[2]!);

  test('is read where it lies now', async () => {
    const page = await (await moved()).read([patch(5)], new Uint8Array(PAGE_BYTES));
    expect(pageOf(patched, 5).equals(page)).toBe(true);
  });

  test.each([
    ['into a file', filled],
    ['in order', ordered],
  ])('is restored from there, %s', async (_, written) => {
    const { bytes, lost } = await written(await moved(), Uint32Array.of(patch(5), whole(2)));
    expect(lost).toEqual([]);
    expect(Buffer.concat([pageOf(patched, 5), pageOf(wholes, 2)]).equals(bytes)).toBe(true);
  });
});

test('a page that is waited for is read before the rest of a memory', async () => {
  const MORE_PACKS = 12;
  for (let ordinal = 2; ordinal < MORE_PACKS; ordinal += 1) await putPack(wholes, ordinal);
  const single: PageLocator = { ...locator, referenceAt: () => null };
  const order: string[] = [];
  let waiting: Promise<Uint8Array> | null = null;
  const told: PageStore = {
    ...store,
    get: (range) => async () => {
      const isWaitedFor = range.name === packs[1]!.name;
      order.push(isWaitedFor ? 'asked' : 'memory');
      // In the middle of the memory somebody needs a page, and the store takes its time.
      if (order.length === 5) waiting = reader.read([patch(0)], new Uint8Array(PAGE_BYTES));
      if (isWaitedFor) for (let i = 0; i < 20; i += 1) await setImmediate();
      const read = await store.get(range)();
      if (isWaitedFor) order.push('answered');
      return read;
    },
  };
  const reader = new PageReader({ engine, store: told, locator: () => single });
  const table = Uint32Array.from({ length: MORE_PACKS }, (_, pack) =>
    pack === 1 ? ZERO : whole(pack * PACK_PAGES),
  );
  const { bytes } = await filled(reader, table);
  expect(pageOf(await waiting!, 0).equals(pageOf(masks, 0))).toBe(true);
  expect(order.indexOf('answered') - order.indexOf('asked')).toBe(1);
  expect(order.filter((what) => what === 'memory')).toHaveLength(MORE_PACKS - 1);
  expect(pageOf(bytes, MORE_PACKS - 1).equals(pageOf(wholes, 0))).toBe(true);
});
