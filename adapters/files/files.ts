// The file port: the few operations the stores need, so that a test can put a disk under them that
// loses what was not synced (tests/simulation/lossy-files.ts). `nodeFiles` is the real one.
//
// What it promises, and what a store may build on: `append` is one write call to a file opened with
// O_APPEND, so appends of several processes do not interleave; `sync` makes a file's bytes and size
// durable; a name that was made, renamed or removed is durable after `syncFolder` of its folder.
// Failures are LedgerErrors: DISK_FULL, READ_ONLY, or IO_FAILED with the system's own code.

import * as fs from 'node:fs';
import type { MemoryFile } from '../../domain/ports/guests.ts';
import {
  LedgerError,
  isLedgerError,
  type LedgerErrorCode,
} from '../../domain/values/ledger-error.ts';
import { memoryOfDescriptor } from './memory-file.ts';

/**
 * How a file is opened. `read`: must exist. `edit`: read and write, must exist. `create`: read and
 * write, made if absent. `new`: read and write, must not exist. `append`: read and append, must
 * exist; `write` is not for such a file.
 */
export type OpenMode = 'read' | 'edit' | 'create' | 'new' | 'append';

export interface OpenFile {
  readonly path: string;
  /** Its bytes, as the page engine reads and writes them; valid until it is closed. */
  readonly memory: MemoryFile;
  /** Fills `target` from `offsetBytes`; the bytes read are fewer only at the file's end. */
  read(target: Uint8Array, offsetBytes: number): Promise<number>;
  /** Writes all of `bytes` at `offsetBytes`. */
  write(bytes: Uint8Array, offsetBytes: number): Promise<void>;
  /** Adds `bytes` at the file's end in one write call; less than all of it is DISK_FULL. */
  append(bytes: Uint8Array): Promise<void>;
  /** Makes the bytes written so far durable (fdatasync). */
  sync(): Promise<void>;
  sizeBytes(): Promise<number>;
  truncate(sizeBytes: number): Promise<void>;
  close(): Promise<void>;
}

export interface FileFacts {
  readonly sizeBytes: number;
  readonly modifiedAtMs: number;
  readonly isFolder: boolean;
  /** A regular file: neither a folder nor a pipe, a device or a link. */
  readonly isFile: boolean;
  /** The nine permission bits, where the system has them. */
  readonly permissions?: number;
}

export interface FilePort {
  /**
   * `permissions`: of a file that this makes, 0o666 less the umask where not given; exactly those of
   * a `new` one.
   */
  open(path: string, mode: OpenMode, permissions?: number): Promise<OpenFile>;
  /** A small file's bytes, read at once; null when it is absent. More than `sizeBytesMax` is cut. */
  load(path: string, sizeBytesMax: number): Promise<Uint8Array | null>;
  /** Null when there is nothing of that name. */
  facts(path: string): Promise<FileFacts | null>;
  /** As `facts`, but of a link itself, also of one that leads nowhere. */
  nameFacts(path: string): Promise<FileFacts | null>;
  /** Names in a folder, sorted; none when it is absent. */
  list(folder: string): Promise<readonly string[]>;
  /** Makes a folder and those above it; existing ones are fine. `permissions`: 0o777 where not given. */
  makeFolder(folder: string, permissions?: number): Promise<void>;
  /** Replaces `target` if it exists. */
  rename(source: string, target: string): Promise<void>;
  /** A second name; false when `target` exists already. */
  link(source: string, target: string): Promise<boolean>;
  /** Removes a name; false when it was not there. */
  remove(path: string): Promise<boolean>;
  /** Makes the folder's names durable. */
  syncFolder(folder: string): Promise<void>;
  /** Calls `changed` after changes of the file, perhaps late or not at all; the result ends it. */
  watch(path: string, changed: () => void): () => void;
}

const CODE_OF_ERRNO: Readonly<Record<string, LedgerErrorCode>> = {
  ENOSPC: 'DISK_FULL',
  EDQUOT: 'DISK_FULL',
  EROFS: 'READ_ONLY',
  EACCES: 'READ_ONLY',
  EPERM: 'READ_ONLY',
};

const ADVICE: Readonly<Partial<Record<LedgerErrorCode, string>>> = {
  DISK_FULL: 'free some space and try again',
  READ_ONLY: 'give permission for it or use another place',
};

/** The LedgerError for what the system said about `operation` on `path`. */
export function fileFailure(
  cause: unknown,
  { operation, path }: { readonly operation: string; readonly path: string },
): LedgerError {
  const errno = errnoOf(cause) ?? 'unknown error';
  const code = CODE_OF_ERRNO[errno] ?? 'IO_FAILED';
  const advice = ADVICE[code] ?? 'see to the device or the path and try again';
  return new LedgerError(
    code,
    `cannot ${operation} ${path}: the system answered ${errno}; ${advice}`,
    { file: path, operation, errno },
    cause,
  );
}

const errnoOf = (cause: unknown): string | null =>
  typeof cause === 'object' && cause !== null && 'code' in cause && typeof cause.code === 'string'
    ? cause.code
    : null;

type Callback<T> = (error: NodeJS.ErrnoException | null, value: T) => void;

/** Calls a callback function of node:fs; what it refuses is a LedgerError. */
const call = <T>(operation: string, path: string, run: (done: Callback<T>) => void): Promise<T> =>
  new Promise((resolve, reject) => {
    run((error, value) => {
      if (error === null) resolve(value);
      else reject(fileFailure(error, { operation, path }));
    });
  });

const noValue =
  (done: Callback<void>) =>
  (error: NodeJS.ErrnoException | null | undefined): void => {
    done(error ?? null, undefined);
  };

const hasDone =
  (done: Callback<boolean>) =>
  (error: NodeJS.ErrnoException | null): void => {
    done(error, true);
  };

/** As `call`, but an error with the system's code `errno` is the value `absent`. */
const callOr = async <T>(
  { errno, absent }: { readonly errno: string; readonly absent: T },
  pending: Promise<T>,
): Promise<T> => {
  try {
    return await pending;
  } catch (error) {
    if (isLedgerError(error) && errnoOf(error.cause) === errno) return absent;
    throw error;
  }
};

const { O_APPEND, O_CREAT, O_EXCL, O_RDONLY, O_RDWR } = fs.constants;
const FLAGS: Readonly<Record<OpenMode, number>> = {
  read: O_RDONLY,
  edit: O_RDWR,
  create: O_RDWR | O_CREAT,
  new: O_RDWR | O_CREAT | O_EXCL,
  append: O_RDWR | O_APPEND,
};

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
    let count = await call<number>('read', this.path, (done) => {
      fs.read(this.#fd, target, 0, target.length, offsetBytes, done);
    });
    // Too few bytes are nearly always the file's end, which the system tells at once.
    while (count < target.length) {
      const got = this.#readNow(target.subarray(count), offsetBytes + count);
      if (got === 0) break;
      count += got;
    }
    return count;
  }

  #readNow(target: Uint8Array, offsetBytes: number): number {
    try {
      return fs.readSync(this.#fd, target, 0, target.length, offsetBytes);
    } catch (error) {
      throw fileFailure(error, { operation: 'read', path: this.path });
    }
  }

  async write(bytes: Uint8Array, offsetBytes: number): Promise<void> {
    let count = 0;
    while (count < bytes.length) {
      count += await call<number>('write', this.path, (done) => {
        fs.write(this.#fd, bytes, count, bytes.length - count, offsetBytes + count, done);
      });
    }
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

async function open(path: string, mode: OpenMode, permissions?: number): Promise<OpenFile> {
  const fd = await call<number>('open', path, (done) => {
    fs.open(path, FLAGS[mode], permissions ?? 0o666, done);
  });
  if (mode === 'new' && permissions !== undefined) fs.fchmodSync(fd, permissions);
  return new NodeFile(path, fd);
}

/** Synchronous inside: for a file of a few hundred bytes a hop to another thread costs more. */
function loadNow(path: string, sizeBytesMax: number): Uint8Array | null {
  let fd: number;
  try {
    fd = fs.openSync(path, O_RDONLY);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return null;
    throw fileFailure(error, { operation: 'open', path });
  }
  try {
    const bytes = new Uint8Array(Math.min(sizeBytesMax, fs.fstatSync(fd).size));
    return bytes.subarray(0, fs.readSync(fd, bytes, 0, bytes.length, 0));
  } catch (error) {
    throw fileFailure(error, { operation: 'read', path });
  } finally {
    fs.closeSync(fd);
  }
}

async function syncFolder(folder: string): Promise<void> {
  const fd = await call<number>('open', folder, (done) => {
    fs.open(folder, O_RDONLY, done);
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

const factsBy = (path: string, look: typeof fs.stat): Promise<FileFacts | null> =>
  callOr<FileFacts | null>(
    { errno: 'ENOENT', absent: null },
    call<fs.Stats>('look at', path, (done) => {
      look(path, done);
    }).then((stats) => ({
      sizeBytes: stats.size,
      modifiedAtMs: stats.mtimeMs,
      isFolder: stats.isDirectory(),
      isFile: stats.isFile(),
      permissions: stats.mode & 0o777,
    })),
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
  open,
  load: (path, sizeBytesMax) =>
    new Promise((resolve) => {
      resolve(loadNow(path, sizeBytesMax));
    }),
  facts: (path) => factsBy(path, fs.stat),
  nameFacts: (path) => factsBy(path, fs.lstat),
  list,
  makeFolder: (folder, permissions = 0o777) =>
    call('make the folder', folder, (done) => {
      fs.mkdir(folder, { recursive: true, mode: permissions }, noValue(done));
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
};
