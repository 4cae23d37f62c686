// Files that an engine reads and writes by their descriptors.

import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface OpenFiles {
  /** A file of these bytes, open for reading and writing. */
  fileOf(name: string, bytes: Uint8Array): { readonly path: string; readonly fd: number };
  pathOf(name: string): string;
  /** Opens a file otherwise. */
  open(path: string, flags: string): number;
  /** Closes all files, and takes them away. */
  remove(): void;
}

/** Files in a folder of their own. */
export function openFiles(): OpenFiles {
  const folder = mkdtempSync(join(tmpdir(), 'pageledger-files-'));
  const opened: number[] = [];
  const pathOf = (name: string): string => join(folder, name);
  const open = (path: string, flags: string): number => {
    const fd = openSync(path, flags);
    opened.push(fd);
    return fd;
  };
  return {
    fileOf: (name, bytes) => {
      const path = pathOf(name);
      writeFileSync(path, bytes);
      return { path, fd: open(path, 'r+') };
    },
    pathOf,
    open,
    remove: () => {
      for (const fd of opened) closeSync(fd);
      rmSync(folder, { recursive: true });
    },
  };
}
