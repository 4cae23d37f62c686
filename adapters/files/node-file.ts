// An open file of this machine's disk, and how one is opened: nothing but a regular file, so that no
// pipe or device in its place makes anybody wait, and written to only under its own name, never
// through a link.

import * as fs from 'node:fs';
import { dirname } from 'node:path';
import type { MemoryFile } from '../../domain/ports/guests.ts';
import { LedgerError } from '../../domain/values/ledger-error.ts';
import { errnoOf, fileFailure, systemCodeOf } from './failures.ts';
import type { OpenFile, OpenMode } from './file-port.ts';
import { memoryOfDescriptor } from './memory-file.ts';
import { asOwnersOwn, call, callNow, callOr, noValue } from './system-calls.ts';

/** Permissions of files where nothing else is said: all that is written holds memory or keys. */
const FILE_PERMISSIONS = 0o600;
const FOLDER_PERMISSIONS = 0o700;

const { O_APPEND, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR } = fs.constants;
const FLAGS: Readonly<Record<Exclude<OpenMode, 'create'>, number>> = {
  read: O_RDONLY | O_NONBLOCK,
  edit: O_RDWR | O_NOFOLLOW | O_NONBLOCK,
  new: O_RDWR | O_CREAT | O_EXCL,
  append: O_RDWR | O_APPEND | O_NOFOLLOW | O_NONBLOCK,
};

/** Tries to open a file that others make and remove meanwhile. */
const CREATE_TRIES_MAX = 8;

class NodeFile implements OpenFile {
  readonly path: string;
  readonly memory: MemoryFile;
  readonly #fd: number;

  constructor(path: string, fd: number) {
    this.path = path;
    this.#fd = fd;
    this.memory = memoryOfDescriptor(fd);
  }

  async read(target: Uint8Array, offsetBytes: number): Promise<number> {
    if (target.length === 0) return 0;
    const count = await call<number>('read', this.path, (done) => {
      fs.read(this.#fd, target, 0, target.length, offsetBytes, done);
    });
    if (count === target.length) return count;
    // Too few bytes are nearly always the file's end, which the system tells at once.
    return count + this.readNow(target.subarray(count), offsetBytes + count);
  }

  readNow(target: Uint8Array, offsetBytes: number): number {
    return callNow('read', this.path, () => {
      let count = 0;
      while (count < target.length) {
        const left = target.length - count;
        const got = fs.readSync(this.#fd, target, count, left, offsetBytes + count);
        if (got === 0) break;
        count += got;
      }
      return count;
    });
  }

  async write(bytes: Uint8Array, offsetBytes: number): Promise<void> {
    let count = 0;
    while (count < bytes.length) {
      count += await call<number>('write', this.path, (done) => {
        fs.write(this.#fd, bytes, count, bytes.length - count, offsetBytes + count, done);
      });
    }
  }

  writeNow(bytes: Uint8Array, offsetBytes: number): void {
    callNow('write', this.path, () => {
      for (let count = 0; count < bytes.length;)
        count += fs.writeSync(this.#fd, bytes, count, bytes.length - count, offsetBytes + count);
    });
  }

  async append(bytes: Uint8Array): Promise<void> {
    const count = await call<number>('append to', this.path, (done) => {
      fs.write(this.#fd, bytes, 0, bytes.length, null, done);
    });
    if (count === bytes.length) return;
    throw new LedgerError(
      'DISK_FULL',
      `only ${count} of ${bytes.length} bytes could be appended to ${this.path}; free some space and try again`,
      { file: this.path, operation: 'append to', expected: bytes.length, found: count },
    );
  }

  sync(): Promise<void> {
    return call('sync', this.path, (done) => {
      fs.fdatasync(this.#fd, noValue(done));
    });
  }

  async sizeBytes(): Promise<number> {
    const stats = await call<fs.Stats>('look at', this.path, (done) => {
      fs.fstat(this.#fd, done);
    });
    return stats.size;
  }

  async isNamed(): Promise<boolean> {
    const look = call<fs.BigIntStats>('look at', this.path, (done) => {
      fs.stat(this.path, { bigint: true }, done);
    });
    const named = await callOr<fs.BigIntStats | null>({ errno: 'ENOENT', absent: null }, look);
    const own = fs.fstatSync(this.#fd, { bigint: true });
    return named !== null && named.ino === own.ino && named.dev === own.dev;
  }

  truncate(sizeBytes: number): Promise<void> {
    return call('truncate', this.path, (done) => {
      fs.ftruncate(this.#fd, sizeBytes, noValue(done));
    });
  }

  close(): Promise<void> {
    return call('close', this.path, (done) => {
      fs.close(this.#fd, noValue(done));
    });
  }
}

const kindOf = (stats: fs.Stats): string =>
  stats.isDirectory() ? 'a folder' : stats.isFIFO() ? 'a pipe' : 'a device or a socket';

function noFile(path: string, found: string): LedgerError {
  return new LedgerError(
    'IO_FAILED',
    `${path} is ${found}, and a file was expected; put the file back from a copy, or remove what stands in its place`,
    { file: path, operation: 'open', found, errno: found === 'a folder' ? 'EISDIR' : 'EINVAL' },
  );
}

/** Refuses what is no regular file. Closes it then. */
function checkRegular(fd: number, path: string): void {
  const stats = callNow('look at', path, () => fs.fstatSync(fd));
  if (stats.isFile()) return;
  fs.closeSync(fd);
  throw noFile(path, kindOf(stats));
}

/**
 * What root makes in a folder of somebody else's is theirs: a ledger that root used once is still its
 * owner's. By descriptor, so that nobody can put a link in between.
 */
function giveToFolder(fd: number, path: string): void {
  if (process.geteuid?.() !== 0) return;
  const { uid, gid } = fs.statSync(dirname(path));
  if (uid !== 0) fs.fchownSync(fd, uid, gid);
}

/** Gives what was just made the permissions that it is to have, whatever the umask says. */
function settle(fd: number, path: string, permissions: number | undefined): void {
  callNow('set the permissions of', path, () => {
    fs.fchmodSync(fd, permissions ?? FILE_PERMISSIONS);
    if (permissions === undefined) giveToFolder(fd, path);
  });
}

/** Opens a file. A descriptor for each call: several may have one file open. */
export async function openDescriptor(
  path: string,
  mode: OpenMode,
  permissions?: number,
): Promise<number> {
  if (mode === 'create') return openOrMake(path, permissions);
  const fd = await call<number>('open', path, (done) => {
    fs.open(path, FLAGS[mode], permissions ?? FILE_PERMISSIONS, done);
  }).catch((thrown: unknown) => {
    const errno = systemCodeOf(thrown);
    if (errno === 'ELOOP') throw noFile(path, 'a symbolic link');
    if (errno === 'ENXIO') throw noFile(path, 'a socket');
    throw thrown;
  });
  if (mode === 'new') settle(fd, path, permissions);
  else checkRegular(fd, path);
  return fd;
}

/** Opens a file, made if absent: which of them tells whether its permissions are ours to set. */
async function openOrMake(path: string, permissions?: number): Promise<number> {
  const wanted = { edit: 'ENOENT', new: 'EEXIST' } as const;
  for (let tries = 0; ; tries += 1) {
    const mode = tries % 2 === 0 ? 'edit' : 'new';
    try {
      return await openDescriptor(path, mode, permissions);
    } catch (thrown) {
      if (systemCodeOf(thrown) !== wanted[mode] || tries >= CREATE_TRIES_MAX) throw thrown;
    }
  }
}

export async function openNodeFile(
  path: string,
  mode: OpenMode,
  permissions?: number,
): Promise<OpenFile> {
  return new NodeFile(path, await openDescriptor(path, mode, permissions));
}

/** Synchronous inside: for a file of a few hundred bytes a hop to another thread costs more. */
export function loadNow(path: string, sizeBytesMax: number): Uint8Array | null {
  let fd: number;
  try {
    fd = fs.openSync(path, FLAGS.read);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return null;
    throw fileFailure(error, { operation: 'open', path });
  }
  checkRegular(fd, path);
  try {
    const bytes = new Uint8Array(Math.min(sizeBytesMax, fs.fstatSync(fd).size));
    return bytes.subarray(0, fs.readSync(fd, bytes, 0, bytes.length, 0));
  } catch (error) {
    throw fileFailure(error, { operation: 'read', path });
  } finally {
    fs.closeSync(fd);
  }
}

/** Makes one folder below one that is there; false: there is something of that name. */
function makeOneFolder(folder: string, permissions: number | undefined): boolean {
  try {
    asOwnersOwn(() => fs.mkdirSync(folder, { mode: permissions ?? FOLDER_PERMISSIONS }));
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false;
    throw error;
  }
  const fd = fs.openSync(folder, O_RDONLY | O_NOFOLLOW | fs.constants.O_DIRECTORY);
  try {
    fs.fchmodSync(fd, permissions ?? FOLDER_PERMISSIONS);
    if (permissions === undefined) giveToFolder(fd, folder);
  } finally {
    fs.closeSync(fd);
  }
  return true;
}

/** Makes a folder and those above it. */
export function makeFolderNow(folder: string, permissions?: number): void {
  callNow('make the folder', folder, () => {
    const missing = [folder];
    while (!fs.existsSync(dirname(missing[0]!))) missing.unshift(dirname(missing[0]!));
    for (const each of missing)
      if (!makeOneFolder(each, permissions) && !fs.statSync(each).isDirectory())
        throw Object.assign(new Error(`${each} is no folder`), { code: 'EEXIST' });
  });
}
