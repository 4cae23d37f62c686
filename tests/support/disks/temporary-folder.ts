// Folders that live as long as one test.

import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A folder of its own, and how to be rid of it. */
export interface TemporaryFolder {
  readonly path: string;
  remove(): Promise<void>;
}

/** Makes an empty folder; `remove` takes it away with all that is in it. */
export async function makeTemporaryFolder(place = tmpdir()): Promise<TemporaryFolder> {
  // The real path: where /tmp is a link, paths in messages would differ from those asked for.
  const path = await realpath(await mkdtemp(join(place, 'pageledger-test-')));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}

/** Runs `work` in an empty folder that is gone afterwards, also when `work` fails. */
export async function withTemporaryFolder<T>(work: (path: string) => Promise<T>): Promise<T> {
  const folder = await makeTemporaryFolder();
  try {
    return await work(folder.path);
  } finally {
    await folder.remove();
  }
}
