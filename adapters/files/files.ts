// The disk of this machine, as the stores use it.

import * as fs from 'node:fs';
import type { FileFacts, FilePort } from './file-port.ts';
import { memoryOfPath } from './memory-file.ts';
import { lockNow } from './flock.ts';
import { loadNow, makeFolderNow, openNodeFile } from './node-file.ts';
import { call, callOr, hasDone, noValue } from './system-calls.ts';

async function syncFolder(folder: string): Promise<void> {
  const fd = await call<number>('open', folder, (done) => {
    fs.open(folder, fs.constants.O_RDONLY, done);
  });
  try {
    await call<void>('sync', folder, (done) => {
      fs.fsync(fd, noValue(done));
    });
  } finally {
    fs.closeSync(fd);
  }
}

function watch(path: string, changed: () => void): () => void {
  try {
    const watcher = fs.watch(path, { persistent: false }, changed);
    // Watching is a courtesy (a system may have no watches left): readers poll as well.
    watcher.on('error', () => {
      watcher.close();
    });
    return () => {
      watcher.close();
    };
  } catch {
    return () => undefined;
  }
}

const factsOf = (stats: fs.Stats): FileFacts => ({
  sizeBytes: stats.size,
  modifiedAtMs: stats.mtimeMs,
  isFolder: stats.isDirectory(),
  isFile: stats.isFile(),
  permissions: stats.mode & 0o777,
});

const factsBy = (path: string, look: typeof fs.stat): Promise<FileFacts | null> =>
  callOr<FileFacts | null>(
    { errno: 'ENOENT', absent: null },
    call<fs.Stats>('look at', path, (done) => {
      look(path, done);
    }).then(factsOf),
  );

const list = async (folder: string): Promise<readonly string[]> => {
  const names = await callOr<string[]>(
    { errno: 'ENOENT', absent: [] },
    call('list', folder, (done) => {
      fs.readdir(folder, done);
    }),
  );
  return names.toSorted();
};

/** The disk of this machine. */
export const nodeFiles: FilePort = {
  open: openNodeFile,
  memoryOf: memoryOfPath,
  load: (path, sizeBytesMax) =>
    new Promise((resolve) => {
      resolve(loadNow(path, sizeBytesMax));
    }),
  facts: (path) => factsBy(path, fs.stat),
  nameFacts: (path) => factsBy(path, fs.lstat),
  list,
  makeFolder: (folder, permissions) =>
    new Promise((resolve) => {
      resolve(makeFolderNow(folder, permissions));
    }),
  rename: (source, target) =>
    call('rename a file to', target, (done) => {
      fs.rename(source, target, noValue(done));
    }),
  link: (source, target) =>
    callOr(
      { errno: 'EEXIST', absent: false },
      call('link a file to', target, (done) => {
        fs.link(source, target, hasDone(done));
      }),
    ),
  remove: (path) =>
    callOr(
      { errno: 'ENOENT', absent: false },
      call('remove', path, (done) => {
        fs.unlink(path, hasDone(done));
      }),
    ),
  syncFolder,
  watch,
  lock: lockNow,
};
