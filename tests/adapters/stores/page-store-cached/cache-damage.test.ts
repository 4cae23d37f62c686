// Whatever happens to the files of a cache: readers get the right bytes, and the user is told what is to
// be told.

import { spawnSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmdirSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { FilePort } from '../../../../adapters/files/file-port.ts';
import { nodeFiles } from '../../../../adapters/files/files.ts';
import { cachePages } from '../../../../adapters/stores/page-store-cached/cached-pages.ts';
import { countSteps, filesThatFail } from '../../../support/spoiled/broken-files.ts';
import {
  ALL,
  createCacheWorld,
  filesBelow,
  OTHER,
  rangeOf,
  readsRight,
} from '../../../support/packs/cache-world.ts';
import type { CacheWorld } from '../../../support/packs/cache-world.ts';
import { valueOf } from '../../../support/outcomes.ts';
import { memoryRangeStore } from '../../../support/packs/range-stores.ts';
import { makeTemporaryFolder } from '../../../support/disks/temporary-folder.ts';
import type { TemporaryFolder } from '../../../support/disks/temporary-folder.ts';

const MIB = 2 ** 20;

let folder: TemporaryFolder;
let world: CacheWorld;
beforeEach(async () => {
  folder = await makeTemporaryFolder();
  world = createCacheWorld(join(folder.path, 'cache'));
});
afterEach(() => folder.remove());

describe('a file of the cache that is not sound is fetched again and replaced', () => {
  const fill = async (): Promise<Buffer> => {
    world.putDirectly();
    world.putDirectly(OTHER);
    const pages = world.open();
    await valueOf(pages.get(ALL));
    await valueOf(pages.get(rangeOf(0, OTHER.bytes.length, OTHER)));
    await pages.close();
    world.asked.length = 0;
    return readFileSync(world.fileOf(1));
  };
  /** What is found when the window is read, and what it leaves. */
  const readAgain = async (sound: Buffer) => {
    const pages = world.open();
    const isRight = await readsRight(pages, rangeOf(4096, 4096));
    await pages.close();
    const isReplaced = readFileSync(world.fileOf(1)).equals(sound);
    return { isRight, isReplaced, asked: world.asked.splice(0), notices: world.notices };
  };
  const AGAIN = { isRight: true, isReplaced: true, asked: [rangeOf(4096, 4096)], notices: [] };

  test.each([0, 1, 63, 64, 65, 2000, 4159])('when it was cut to %d bytes', async (sizeBytes) => {
    const sound = await fill();
    truncateSync(world.fileOf(1), sizeBytes);
    expect(await readAgain(sound)).toEqual(AGAIN);
  });

  test.each([0, 4, 8, 39, 40, 48, 56, 60, 64, 1000, 4159])(
    'when a bit of byte %d is another',
    async (at) => {
      const sound = await fill();
      const altered = Buffer.from(sound);
      altered[at]! ^= 0x10;
      writeFileSync(world.fileOf(1), altered);
      expect(await readAgain(sound)).toEqual(AGAIN);
    },
  );

  test('when it is longer', async () => {
    const sound = await fill();
    writeFileSync(world.fileOf(1), Buffer.concat([sound, Buffer.alloc(1)]));
    expect(await readAgain(sound)).toEqual(AGAIN);
  });

  test('when it is a sound file of another window, or of another pack', async () => {
    const sound = await fill();
    writeFileSync(world.fileOf(1), readFileSync(world.fileOf(2)));
    expect(await readAgain(sound)).toEqual(AGAIN);
    writeFileSync(world.fileOf(1), readFileSync(world.fileOf(1, OTHER)));
    expect(await readAgain(sound)).toEqual(AGAIN);
  });

  test('when it holds a window of another size', async () => {
    const sound = await fill();
    const wide = cachePages({
      store: memoryRangeStore(world.packs),
      files: nodeFiles,
      folder: join(folder.path, 'wide'),
      bytesMax: MIB,
      windowBytes: 2048,
    });
    await valueOf(wide.get(rangeOf(4096, 2048)));
    await wide.close();
    const [wideFile] = filesBelow(join(folder.path, 'wide'));
    writeFileSync(world.fileOf(1), readFileSync(wideFile!));
    expect(await readAgain(sound)).toEqual(AGAIN);
  });
});

describe('whatever happens to the folder, reading goes on', () => {
  test('when it is removed between two reads', async () => {
    world.putDirectly();
    const pages = world.open();
    await valueOf(pages.get(rangeOf(0, 1)));
    await pages.close();
    rmSync(world.cacheFolder, { recursive: true });
    expect(await readsRight(pages, ALL)).toBe(true);
    await pages.close();
    // All but the one in memory.
    expect(world.files()).toHaveLength(10);
    expect(world.notices).toEqual([]);
  });

  test('when a file stands in its place, which the user is told once', async () => {
    world.putDirectly();
    writeFileSync(world.cacheFolder, 'something else');
    const pages = world.open();
    expect(await readsRight(pages, ALL)).toBe(true);
    expect(await readsRight(pages, rangeOf(7, 9000))).toBe(true);
    await valueOf(pages.put(OTHER));
    await pages.close();
    expect(readFileSync(world.cacheFolder, 'utf8')).toBe('something else');
    expect(world.notices).toHaveLength(1);
    expect(world.notices[0]).toContain(world.cacheFolder);
  });

  test('when a folder stands in the place of a window', async () => {
    world.putDirectly();
    mkdirSync(world.fileOf(1), { recursive: true });
    const pages = world.open();
    expect(await readsRight(pages, ALL)).toBe(true);
    await pages.close();
    expect(world.notices).toHaveLength(1);
  });

  test('when the disk fills up at any step, which the user is told once', async () => {
    world.putDirectly();
    const work = async (files: FilePort): Promise<void> => {
      rmSync(world.cacheFolder, { recursive: true, force: true });
      const pages = world.open({ files });
      expect(await readsRight(pages, rangeOf(0, 3 * 4096))).toBe(true);
      expect(await readsRight(pages, ALL)).toBe(true);
      await pages.close();
      // What was kept before is sound; nothing half written is in a place that means something.
      const again = world.open();
      expect(await readsRight(again, ALL)).toBe(true);
      await again.close();
    };
    const steps = await countSteps(work);
    expect(steps).toBeGreaterThan(20);
    for (let step = 0; step < steps; step += 1) {
      const systemCode = step % 2 === 0 ? 'ENOSPC' : 'EACCES';
      world.notices.length = 0;
      await work(filesThatFail({ step, systemCode }));
      expect(world.notices).toEqual([expect.stringContaining(systemCode)]);
    }
  });
});

const place = mkdtempSync(join(tmpdir(), 'pageledger-small-disk-'));
/** Why no small file system can be mounted there; null: one was. */
const mountReason = ((): string | null => {
  if (process.getuid?.() !== 0) return 'mounting needs root';
  const options = ['-t', 'tmpfs', '-o', 'size=40k', 'pageledger-test', place];
  const mounted = spawnSync('mount', options, { encoding: 'utf8' });
  return mounted.status === 0 ? null : (mounted.stderr ?? 'mount is missing').trim();
})();
const onSmallDisk = mountReason === null ? describe : describe.skip;

const why = mountReason === null ? '' : ` (skipped: ${mountReason})`;

onSmallDisk(`a real disk that is full${why}`, () => {
  afterAll(() => {
    spawnSync('umount', [place]);
    rmdirSync(place);
  });

  test('stops no reader, and what fits on it is kept', async () => {
    const small = createCacheWorld(join(place, 'cache'));
    small.putDirectly();
    const pages = small.open();
    expect(await readsRight(pages, rangeOf(0, 4096))).toBe(true);
    // What is read together is written together, and perhaps none of it fits then.
    await pages.close();
    expect(await readsRight(pages, ALL)).toBe(true);
    await pages.close();
    expect(small.notices).toEqual([expect.stringContaining('ENOSPC')]);
    const again = small.open();
    expect(await readsRight(again, ALL)).toBe(true);
    await again.close();
    expect(again.stats().hits).toBeGreaterThan(0);
  });
});
