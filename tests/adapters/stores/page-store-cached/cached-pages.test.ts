// Packs read through a cache: over packs in memory, so that what is asked of the store can be counted.

import { existsSync, mkdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import * as taskEither from 'fp-ts/lib/TaskEither.js';
import { nodeFiles } from '../../../../adapters/files/files.ts';
import { cachePages } from '../../../../adapters/stores/page-store-cached/cached-pages.ts';
import type { CachedPages } from '../../../../adapters/stores/page-store-cached/cached-pages.ts';
import type { HeldPacks } from '../../../../adapters/stores/page-store-memory/page-store-memory.ts';
import { LedgerError } from '../../../../domain/values/ledger-error.ts';
import { pageStoreContract } from '../../../contracts/page-store.ts';
import {
  ALL,
  createCacheWorld,
  OTHER,
  PACK,
  rangeOf,
  readsRight,
  WINDOW_BYTES,
} from '../../../support/packs/cache-world.ts';
import type { CacheWorld } from '../../../support/packs/cache-world.ts';
import { failureOf, valueOf } from '../../../support/outcomes.ts';
import { memoryRangeStore, type AskedRange } from '../../../support/packs/range-stores.ts';
import { makeTemporaryFolder } from '../../../support/disks/temporary-folder.ts';
import type { TemporaryFolder } from '../../../support/disks/temporary-folder.ts';

const MIB = 2 ** 20;

for (const windowBytes of [1000, 256 * 1024])
  pageStoreContract(`in memory, through a cache of windows of ${windowBytes} bytes`, async () => {
    const folder = await makeTemporaryFolder();
    const packs: HeldPacks = new Map();
    const opened: CachedPages[] = [];
    const open = (): CachedPages => {
      const store = memoryRangeStore(packs);
      const options = { store, files: nodeFiles, folder: folder.path, bytesMax: 64 * MIB };
      opened.push(cachePages({ ...options, windowBytes }));
      return opened.at(-1)!;
    };
    return {
      store: open(),
      another: () => Promise.resolve(open()),
      async close() {
        await Promise.all(opened.map((pages) => pages.close()));
        await folder.remove();
      },
    };
  });

let folder: TemporaryFolder;
let world: CacheWorld;
beforeEach(async () => {
  folder = await makeTemporaryFolder();
  world = createCacheWorld(join(folder.path, 'cache'));
});
afterEach(() => folder.remove());

describe('a cache', () => {
  test('asks for a window once, and later reads it without the store, also in another process', async () => {
    world.putDirectly();
    const first = world.open();
    expect(await readsRight(first, rangeOf(5000, 10))).toBe(true);
    expect(await readsRight(first, rangeOf(4096, 4096))).toBe(true);
    await first.close();
    expect(world.asked).toEqual([rangeOf(4096, 4096)]);
    world.packs.clear();
    const second = world.open();
    expect(await readsRight(second, rangeOf(4097, 4000))).toBe(true);
    expect(world.asked).toHaveLength(1);
    expect(second.stats()).toEqual({ requests: 0, bytesFetched: 0, bytesServed: 4000, hits: 1 });
  });

  test('asks for neighbours that are missing by one request, up to the short last window', async () => {
    world.putDirectly();
    const pages = world.open();
    await valueOf(pages.get(rangeOf(3 * 4096 + 1, 1)));
    await valueOf(pages.get(rangeOf(4 * 4096, 4096)));
    expect(await readsRight(pages, ALL)).toBe(true);
    expect(world.asked).toEqual([
      rangeOf(3 * 4096, 4096),
      rangeOf(4 * 4096, 4096),
      rangeOf(0, 3 * 4096),
      rangeOf(5 * 4096, 6 * 4096),
    ]);
    expect(pages.stats()).toEqual({
      requests: 4,
      bytesFetched: PACK.bytes.length,
      bytesServed: 4097 + PACK.bytes.length,
      hits: 2,
    });
    await pages.close();
    expect(world.files()).toHaveLength(11);
    expect(statSync(world.fileOf(10)).size).toBe(64 + 100);
  });

  test('says which bytes it has, as of when it was asked', async () => {
    world.putDirectly();
    const pages = world.open();
    const none = await pages.atHand();
    expect(await readsRight(pages, rangeOf(4096, 8192))).toBe(true);
    await pages.close();
    const { name } = rangeOf(0, 1);
    const isKept = await world.open().atHand();
    const asked = [
      { name, offsetBytes: 4096, endBytes: 12288 },
      { name, offsetBytes: 5000, endBytes: 5001 },
      { name, offsetBytes: 4095, endBytes: 5000 },
      { name, offsetBytes: 12000, endBytes: 12289 },
      { name: 'f'.repeat(64), offsetBytes: 4096, endBytes: 5000 },
    ];
    expect(asked.map(isKept)).toEqual([true, true, false, false, false]);
    expect(asked.map(none)).toEqual(asked.map(() => false));
  });

  test('forgets all that is kept, and nothing in its folder that is not its own', async () => {
    world.putDirectly();
    world.putDirectly(OTHER);
    const pages = world.open();
    for (const pack of [PACK, OTHER])
      expect(await readsRight(pages, rangeOf(0, 5000, pack), pack)).toBe(true);
    const others = join(world.cacheFolder, 'notes');
    writeFileSync(others, 'mine');
    await pages.dropAll();
    expect(world.files()).toEqual([others]);
    const asked = world.asked.length;
    expect(await readsRight(pages, rangeOf(0, 5000))).toBe(true);
    expect(world.asked.length).toBeGreaterThan(asked);
    await pages.close();
  });

  test('fetches a window once for all readers who wait for it', async () => {
    world.putDirectly();
    const pages = world.open();
    const reads = Array.from({ length: 50 }, (_, i) => readsRight(pages, rangeOf(100 * i, 3000)));
    expect(await Promise.all(reads)).toEqual(reads.map(() => true));
    const offsets = world.asked.flatMap((each) =>
      Array.from({ length: each.lengthBytes / 4096 }, (_, i) => each.offsetBytes + 4096 * i),
    );
    expect(offsets.toSorted((a, b) => a - b)).toEqual([0, 4096]);
    await pages.close();
  });

  test('tells every reader who waits why there is nothing, and asks again the next time', async () => {
    const pages = world.open();
    const failures = await Promise.all([pages.get(ALL)(), pages.get(rangeOf(5, 5))()]);
    expect(failures.map((each) => each._tag === 'Left' && each.left.code)).toEqual([
      'PACK_MISSING',
      'PACK_MISSING',
    ]);
    world.putDirectly();
    expect(await readsRight(pages, ALL)).toBe(true);
    await pages.close();
  });

  test('passes on what the store says, and keeps nothing of it', async () => {
    const failure = new LedgerError('STORE_UNREACHABLE', 'away');
    const store = { ...memoryRangeStore(world.packs), find: () => taskEither.left(failure) };
    const pages = cachePages({ store, files: nodeFiles, folder: world.cacheFolder, bytesMax: MIB });
    expect(await failureOf(pages.get(ALL))).toBe(failure);
    expect(world.files()).toEqual([]);
  });

  test('asks for no more than 32 MiB at once, and serves all in the end', async () => {
    const large = Array.from({ length: 6 }, (_, i) => {
      const bytes = new Uint8Array(9 * MIB).fill(i);
      return { name: String(i).repeat(64), bytes };
    });
    for (const pack of large) world.putDirectly(pack);
    const source = memoryRangeStore(world.packs);
    let underWayBytes = 0;
    let mostBytes = 0;
    const store = {
      ...source,
      find: (range: AskedRange) => async () => {
        underWayBytes += range.lengthBytes;
        mostBytes = Math.max(mostBytes, underWayBytes);
        // Another turn, so that all that are let in are under way together.
        await new Promise((resolve) => setImmediate(resolve));
        underWayBytes -= range.lengthBytes;
        return source.find(range)();
      },
    };
    const options = { store, files: nodeFiles, folder: world.cacheFolder, bytesMax: 256 * MIB };
    const pages = cachePages(options);
    const sizes = await Promise.all(
      large.map(async ({ name }, i) => {
        const read = await valueOf(pages.get({ name, offsetBytes: 0, lengthBytes: 9 * MIB }));
        return Buffer.from(read.buffer).equals(new Uint8Array(9 * MIB).fill(i)) ? read.length : 0;
      }),
    );
    await pages.close();
    expect(sizes).toEqual(large.map(() => 9 * MIB));
    expect(mostBytes).toBeGreaterThan(8 * MIB);
    expect(mostBytes).toBeLessThanOrEqual(32 * MIB);
  });

  test('keeps its files for the owner alone: they hold memory of guests', async () => {
    world.putDirectly();
    const pages = world.open();
    await valueOf(pages.get(ALL));
    await pages.close();
    expect(statSync(world.cacheFolder).mode & 0o777).toBe(0o700);
    expect(statSync(world.fileOf(0)).mode & 0o777).toBe(0o600);
  });

  test('keeps nothing of what is put, and forgets what it had of that pack', async () => {
    const pages = world.open();
    await valueOf(pages.put(PACK));
    expect(world.files()).toEqual([]);
    await valueOf(pages.get(ALL));
    await valueOf(pages.put(PACK));
    expect(world.files()).toEqual([]);
    await valueOf(pages.get(rangeOf(0, 1)));
    await pages.close();
    expect(world.asked).toHaveLength(2);
  });

  test('forgets a pack that was cut short in the store, and reads it when it is whole again', async () => {
    world.packs.set(PACK.name, { bytes: PACK.bytes.slice(0, 6000), writtenAtMs: 0 });
    const pages = world.open();
    const failure = await failureOf(pages.get(rangeOf(0, 8192)));
    expect(failure.code).toBe('PACK_DAMAGED');
    expect(failure.facts).toMatchObject({ foundBytes: 6000, expectedBytes: 8192 });
    world.putDirectly();
    expect(await readsRight(pages, rangeOf(0, 8192))).toBe(true);
    await pages.close();
  });

  test('forgets a pack on request, in memory and in the folder', async () => {
    world.putDirectly();
    world.putDirectly(OTHER);
    const pages = world.open();
    await valueOf(pages.get(ALL));
    await valueOf(pages.get(rangeOf(0, 4096, OTHER)));
    await pages.drop(PACK.name);
    expect(world.files()).toHaveLength(1);
    expect(await readsRight(pages, rangeOf(0, 4096))).toBe(true);
    expect(world.asked).toHaveLength(3);
    await pages.close();
  });
});

describe('the bound of a cache', () => {
  const diskBytes = (): number => world.files().reduce((sum, path) => sum + statSync(path).size, 0);

  test('keeps nothing where not even a window fits', async () => {
    world.putDirectly();
    const pages = world.open({ bytesMax: WINDOW_BYTES });
    expect(await readsRight(pages, ALL)).toBe(true);
    await pages.close();
    expect(world.files().filter((path) => path.endsWith('.10'))).toEqual(world.files());
  });

  test('gives up what was used least recently, by another process too', async () => {
    world.putDirectly();
    world.putDirectly(OTHER);
    const before = world.open();
    await valueOf(before.get(rangeOf(0, 5 * 4096)));
    await before.close();
    const hourAgo = Date.now() / 1000 - 3600;
    for (const [i, path] of world.files().entries()) utimesSync(path, hourAgo + i, hourAgo + i);
    const reader = world.open();
    await valueOf(reader.get(rangeOf(4096, 10)));
    await reader.close();
    // Room for sixteen files, each a window and a header in two blocks of a disk.
    const pages = world.open({ bytesMax: 16 * 8192 });
    await valueOf(pages.get(rangeOf(3 * 4096, 10)));
    for (let index = 0; index < 10; index += 1) {
      await valueOf(pages.get(rangeOf(4096 * index, 4096, OTHER)));
      await pages.close();
    }
    const kept = [0, 1, 2, 3, 4].filter((index) => existsSync(world.fileOf(index)));
    expect(kept).toEqual([1, 3]);
  });

  test('counts what others left half written, and removes it after an hour', async () => {
    world.putDirectly();
    mkdirSync(world.cacheFolder, { recursive: true });
    const [old, fresh] = ['tmp-old', 'tmp-fresh'].map((name) => join(world.cacheFolder, name));
    writeFileSync(old!, Buffer.alloc(100));
    writeFileSync(fresh!, Buffer.alloc(15 * 8192));
    utimesSync(old!, 1000, 1000);
    const pages = world.open({ bytesMax: 16 * 8192 });
    expect(await readsRight(pages, ALL)).toBe(true);
    await pages.close();
    expect(existsSync(old!)).toBe(false);
    expect(world.files().length).toBeLessThanOrEqual(2);
    expect(diskBytes()).toBeLessThanOrEqual(16 * 8192);
  });

  test('leaves files alone that are not its own', async () => {
    world.putDirectly();
    world.putDirectly(OTHER);
    mkdirSync(join(world.cacheFolder, PACK.name.slice(0, 2)), { recursive: true });
    const mine = [
      join(world.cacheFolder, 'notes'),
      join(world.cacheFolder, PACK.name.slice(0, 2), 'x'),
    ];
    for (const path of mine) writeFileSync(path, 'mine');
    const pages = world.open({ bytesMax: 4 * 8192 });
    await valueOf(pages.get(ALL));
    await valueOf(pages.get(rangeOf(0, OTHER.bytes.length, OTHER)));
    await pages.close();
    expect(mine.map((path) => readFileSync(path, 'utf8'))).toEqual(['mine', 'mine']);
  });
});
