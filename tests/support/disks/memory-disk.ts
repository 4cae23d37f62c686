// Files in memory that are taken and put on a new disk, as folder-snapshot.ts does on a real one: quick
// enough to do it for every bit of a ledger.

import { posix } from 'node:path';
import type { FilePort } from '../../../adapters/files/file-port.ts';
import { MemoryFiles } from '../../../adapters/files/memory-files.ts';

/** Files of a disk by their path, and folders, which have no bytes. */
export type DiskSnapshot = ReadonlyMap<string, Uint8Array | null>;

const FILE_BYTES_MAX = 2 ** 24;

/** All that lies in a folder and below it. */
export async function takeDisk(files: FilePort, folder: string): Promise<DiskSnapshot> {
  const taken = new Map<string, Uint8Array | null>([[folder, null]]);
  for (const name of await files.list(folder)) {
    const path = posix.join(folder, name);
    const facts = await files.facts(path);
    if (facts?.isFolder === true)
      for (const [each, bytes] of await takeDisk(files, path)) taken.set(each, bytes);
    else taken.set(path, await files.load(path, FILE_BYTES_MAX));
  }
  return taken;
}

/** A disk of its own with these files. */
export async function diskOf(snapshot: DiskSnapshot): Promise<MemoryFiles> {
  const files = new MemoryFiles();
  for (const [path, bytes] of snapshot) {
    if (bytes === null) await files.makeFolder(path);
    else await (await files.open(path, 'new')).write(bytes, 0);
  }
  return files;
}
