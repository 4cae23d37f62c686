// Files that images are recorded from, looked for by their names: a folder stands for the regular files
// in it, in the order of their times, so that a timer can name the folder that snapshots are written to.

import type { BigIntStats } from 'node:fs';
import { lstat, readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { ImageFacts } from '../../../domain/ports/guests.ts';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { guestFailure } from '../qemu/failure.ts';

/** Most files of a folder. */
const FOLDER_FILES_MAX = 100_000;
/** Names that begin so are of files that are not finished, by custom. */
const HIDDEN = '.';

/** A file that may be recorded. */
export interface FoundImage {
  readonly path: string;
  /** What tells it from others; null: it is no regular file. */
  readonly facts: ImageFacts | null;
}

/** What a file is known by: its name without the folder, its size, when it was last written. */
export const imageFactsOf = (
  path: string,
  { size, mtimeNs }: Pick<BigIntStats, 'size' | 'mtimeNs'>,
): ImageFacts => ({ name: basename(path), bytes: Number(size), timeNs: String(mtimeNs) });

const isBefore = (a: FoundImage, b: FoundImage): number => {
  const [one, other] = [BigInt(a.facts?.timeNs ?? 0), BigInt(b.facts?.timeNs ?? 0)];
  if (one !== other) return one < other ? -1 : 1;
  return a.path < b.path ? -1 : 1;
};

/** VMware's states: each is of the memory beside it, which stands for both. */
const STATE = /\.vms[sn]$/u;

/**
 * The regular files of a folder, oldest first, then by name; hidden ones, folders in it and states whose
 * memory is there are left out.
 */
async function imagesIn(folder: string): Promise<readonly FoundImage[]> {
  const there = new Set(await readdir(folder));
  const isOfAnother = (name: string): boolean =>
    STATE.test(name) && there.has(name.replace(STATE, '.vmem'));
  const names = [...there].filter((name) => !name.startsWith(HIDDEN) && !isOfAnother(name));
  if (names.length > FOLDER_FILES_MAX)
    throw new LedgerError(
      'SOURCE_UNREADABLE',
      `${folder} has ${names.length} files: at most ${FOLDER_FILES_MAX} are looked through; name the files, or keep fewer there`,
      { path: folder, found: names.length, expected: FOLDER_FILES_MAX },
    );
  const found: FoundImage[] = [];
  for (const name of names) {
    const path = join(folder, name);
    // It may be gone since.
    const stats = await lstat(path, { bigint: true }).catch(() => null);
    if (stats?.isFile() === true) found.push({ path, facts: imageFactsOf(path, stats) });
  }
  return found.toSorted(isBefore);
}

async function imagesAt(path: string): Promise<readonly FoundImage[]> {
  if (path === '-') return [{ path, facts: null }];
  const stats = await stat(path, { bigint: true });
  if (stats.isDirectory()) return imagesIn(path);
  return [{ path, facts: stats.isFile() ? imageFactsOf(path, stats) : null }];
}

/** The files that paths name, in their order; a folder is what is in it. SOURCE_UNREADABLE. */
export async function findImages(paths: readonly string[]): Promise<readonly FoundImage[]> {
  const all: FoundImage[] = [];
  for (const path of paths)
    try {
      all.push(...(await imagesAt(path)));
    } catch (thrown) {
      const doing = `cannot read ${path}`;
      throw guestFailure(thrown, { code: 'SOURCE_UNREADABLE', doing, data: { path } });
    }
  return all;
}

/** A file and its size, zero where that is not known, as of a pipe. */
export interface SizedFile {
  readonly path: string;
  readonly bytes: number;
}

/** Files with their sizes; what cannot be seen is said when it is opened. */
export function sizedFiles(paths: readonly string[]): Promise<readonly SizedFile[]> {
  const sizeOf = (path: string): Promise<number> =>
    stat(path).then(
      (stats) => (stats.isFile() ? stats.size : 0),
      () => 0,
    );
  return Promise.all(paths.map(async (path) => ({ path, bytes: await sizeOf(path) })));
}
