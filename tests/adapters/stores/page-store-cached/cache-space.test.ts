// What a cache counts while windows come and go.

import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { FilePort } from '../../../../adapters/files/file-port.ts';
import { nodeFiles } from '../../../../adapters/files/files.ts';
import {
  createCacheSpace,
  type CacheSpace,
} from '../../../../adapters/stores/page-store-cached/cache-space.ts';
import {
  makeTemporaryFolder,
  type TemporaryFolder,
} from '../../../support/disks/temporary-folder.ts';

const DISK_BLOCK_BYTES = 4096;
const BLOCKS_MAX = 32;

let temporary: TemporaryFolder;
let folder: string;
let space: CacheSpace;
/** Called once by the next look at the names in a folder of the cache, before its answer is given. */
let whileCounting: (() => void) | null;

beforeEach(async () => {
  temporary = await makeTemporaryFolder();
  folder = join(temporary.path, 'cache');
  mkdirSync(join(folder, 'aa'), { recursive: true });
  whileCounting = null;
  const files: FilePort = {
    ...nodeFiles,
    list: async (path) => {
      const names = await nodeFiles.list(path);
      if (path !== folder) {
        whileCounting?.();
        whileCounting = null;
      }
      return names;
    },
  };
  space = createCacheSpace({ files, folder, bytesMax: BLOCKS_MAX * DISK_BLOCK_BYTES });
});
afterEach(() => temporary.remove());

const pathOf = (window: number): string => join(folder, 'aa', `${'a'.repeat(64)}.4096.${window}`);

/** Asks for room for a window of so many blocks, and writes its file; gives what says that it is kept. */
async function write(window: number, blocks: number): Promise<() => void> {
  const admission = await space.admit(blocks * DISK_BLOCK_BYTES);
  expect(admission).not.toBeNull();
  writeFileSync(pathOf(window), new Uint8Array(blocks * DISK_BLOCK_BYTES));
  return () => admission!.kept(pathOf(window));
}

describe('the space of a cache', () => {
  test('counts a window once that is kept while it counts', async () => {
    whileCounting = await write(0, 10);
    // The count for this one finds the file of the one before: 22 of 32 blocks are taken, and nothing has to go.
    (await write(1, 12))();
    expect(existsSync(pathOf(0))).toBe(true);
  });

  test('counts a window once that is kept anew while it counts', async () => {
    (await write(0, 10))();
    whileCounting = await write(0, 10);
    (await write(1, 12))();
    expect(existsSync(pathOf(0))).toBe(true);
  });

  test('does not count a window that goes while it counts', async () => {
    (await write(0, 10))();
    whileCounting = () => {
      rmSync(pathOf(0));
      space.removed(pathOf(0));
    };
    (await write(1, 12))();
    // As if the first were there still, this one would have to go.
    (await write(2, 8))();
    expect(existsSync(pathOf(1))).toBe(true);
  });
});
