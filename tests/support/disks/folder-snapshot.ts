// The files of a folder, taken and put back.

import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

/** The files of a folder, by their path in it. */
export type Snapshot = ReadonlyMap<string, Buffer>;

export function takeSnapshot(folder: string): Snapshot {
  const files = new Map<string, Buffer>();
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' }).toSorted()) {
    const path = join(folder, name);
    if (statSync(path).isFile()) files.set(relative(folder, path), readFileSync(path));
  }
  return files;
}

/** Makes the folder's files those of the snapshot again. Files that are as they were stay untouched. */
export function putBack(folder: string, snapshot: Snapshot): void {
  for (const [name, bytes] of takeSnapshot(folder)) {
    const before = snapshot.get(name);
    if (before === undefined) rmSync(join(folder, name));
    else if (!before.equals(bytes)) writeFileSync(join(folder, name), before);
  }
  for (const [name, bytes] of snapshot) {
    const path = join(folder, name);
    if (statSync(path, { throwIfNoEntry: false }) !== undefined) continue;
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, bytes, { mode: name.startsWith('keys') ? 0o600 : 0o666 });
  }
}
