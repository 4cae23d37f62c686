// Disks on which one operation fails, for tests of what a store leaves behind. Every operation that
// changes anything counts as a step.

import type { FilePort, OpenFile } from '../../../adapters/files/file-port.ts';
import { nodeFiles } from '../../../adapters/files/files.ts';
import { fileFailure } from '../../../adapters/files/failures.ts';

/** Called before each step; it may throw. */
type BeforeStep = (operation: string, path: string) => void;

function brokenFile(file: OpenFile, before: BeforeStep): OpenFile {
  const { path } = file;
  const step = async <A>(operation: string, work: () => Promise<A>): Promise<A> => {
    before(operation, path);
    return work();
  };
  const writeNow = (bytes: Uint8Array, offsetBytes: number): void => {
    before('write', path);
    file.writeNow(bytes, offsetBytes);
  };
  return {
    path,
    memory: file.memory,
    read: (target, offsetBytes) => file.read(target, offsetBytes),
    readNow: (target, offsetBytes) => file.readNow(target, offsetBytes),
    write: (bytes, offsetBytes) => step('write', () => file.write(bytes, offsetBytes)),
    writeNow,
    append: (bytes) => step('append to', () => file.append(bytes)),
    sync: () => step('sync', () => file.sync()),
    sizeBytes: () => file.sizeBytes(),
    isNamed: () => file.isNamed(),
    truncate: (sizeBytes) => step('truncate', () => file.truncate(sizeBytes)),
    close: () => file.close(),
  };
}

function filesWith(before: BeforeStep): FilePort {
  const step = async <A>(operation: string, path: string, work: () => Promise<A>): Promise<A> => {
    before(operation, path);
    return work();
  };
  return {
    ...nodeFiles,
    open: async (path, mode, permissions) => {
      if (mode !== 'read') before('open', path);
      return brokenFile(await nodeFiles.open(path, mode, permissions), before);
    },
    makeFolder: (path, permissions) =>
      step('make the folder', path, () => nodeFiles.makeFolder(path, permissions)),
    rename: (source, target) =>
      step('rename a file to', target, () => nodeFiles.rename(source, target)),
    link: (source, target) => step('link a file to', target, () => nodeFiles.link(source, target)),
    syncFolder: (path) => step('sync', path, () => nodeFiles.syncFolder(path)),
  };
}

/** How many steps `work` takes on a disk that works. */
export async function countSteps(work: (files: FilePort) => Promise<unknown>): Promise<number> {
  let steps = 0;
  await work(
    filesWith(() => {
      steps += 1;
    }),
  );
  return steps;
}

/** A disk whose step number `step`, from 0, is refused by the system with `systemCode`. */
export function filesThatFail(at: {
  readonly step: number;
  readonly systemCode: string;
}): FilePort {
  let steps = 0;
  return filesWith((operation, path) => {
    const isNow = steps === at.step;
    steps += 1;
    if (!isNow) return;
    throw fileFailure(Object.assign(new RangeError('planted'), { code: at.systemCode }), {
      operation,
      path,
    });
  });
}

/** A disk that has no room for anything more under a folder, for as long as `isFull` says so. */
export const filesFullUnder = (folder: string, isFull: () => boolean = () => true): FilePort =>
  filesWith((operation, path) => {
    const isWrite = ['write', 'append to', 'make the folder', 'open'].includes(operation);
    if (!isWrite || !path.startsWith(folder) || !isFull()) return;
    throw fileFailure(Object.assign(new RangeError('planted'), { code: 'ENOSPC' }), {
      operation,
      path,
    });
  });
