// A cache of small windows over packs in memory, and how tests look at both: what was asked of the
// packs, what the user was told, and the files of the cache.

import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { FilePort } from '../../../adapters/files/file-port.ts';
import { nodeFiles } from '../../../adapters/files/files.ts';
import {
  cachePages,
  type CachedPages,
} from '../../../adapters/stores/page-store-cached/cached-pages.ts';
import type { HeldPacks } from '../../../adapters/stores/page-store-memory/page-store-memory.ts';
import { makePack, type Pack } from '../../contracts/page-store.ts';
import { valueOf } from '../outcomes.ts';
import { memoryRangeStore, type AskedRange } from './range-stores.ts';

export const WINDOW_BYTES = 4096;
/** Two packs of ten whole windows and a short one. */
export const PACK = makePack({ seed: 11, sizeBytes: 10 * WINDOW_BYTES + 100 });
export const OTHER = makePack({ seed: 12, sizeBytes: 10 * WINDOW_BYTES + 100 });

/** A range of a pack, PACK unless said otherwise. */
export const rangeOf = (offsetBytes: number, lengthBytes: number, { name } = PACK): AskedRange => ({
  name,
  offsetBytes,
  lengthBytes,
});
/** All of PACK. */
export const ALL = rangeOf(0, PACK.bytes.length);

export interface CacheWorld {
  readonly packs: HeldPacks;
  /** In the order of asking. */
  readonly asked: AskedRange[];
  readonly notices: string[];
  readonly cacheFolder: string;
  /** A cache on the folder, as another process has it. */
  open(more?: { readonly files?: FilePort; readonly bytesMax?: number }): CachedPages;
  /** Puts a pack into the store, past every cache. */
  putDirectly(pack?: Pack): void;
  /** The file of a window. */
  fileOf(index: number, pack?: Pack): string;
  /** Paths of the cache's files. */
  files(): string[];
}

/** Paths of all files below a folder. */
export const filesBelow = (folder: string): string[] =>
  existsSync(folder)
    ? readdirSync(folder, { recursive: true, encoding: 'utf8' })
        .map((name) => join(folder, name))
        .filter((path) => statSync(path).isFile())
        .toSorted()
    : [];

/** A world whose cache lies in `cacheFolder`, which is not there yet. */
export function createCacheWorld(cacheFolder: string): CacheWorld {
  const packs: HeldPacks = new Map();
  const asked: AskedRange[] = [];
  const notices: string[] = [];
  return {
    packs,
    asked,
    notices,
    cacheFolder,
    open: (more = {}) =>
      cachePages({
        store: memoryRangeStore(packs, asked),
        files: nodeFiles,
        folder: cacheFolder,
        bytesMax: 16 * 2 ** 20,
        windowBytes: WINDOW_BYTES,
        onNotice: (text) => notices.push(text),
        ...more,
      }),
    putDirectly({ name, bytes } = PACK) {
      packs.set(name, { bytes, writtenAtMs: 0 });
    },
    fileOf: (index, { name } = PACK) =>
      join(cacheFolder, name.slice(0, 2), `${name}.${WINDOW_BYTES}.${index}`),
    files: () => filesBelow(cacheFolder),
  };
}

/** Whether a range is read as it is in the pack. */
export async function readsRight(
  pages: CachedPages,
  range: AskedRange,
  { bytes } = PACK,
): Promise<boolean> {
  const read = await valueOf(pages.get(range));
  const end = range.offsetBytes + range.lengthBytes;
  return Buffer.from(read).equals(bytes.subarray(range.offsetBytes, end));
}
