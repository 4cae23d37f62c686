// Files in memory: the file port without a disk, for a ledger that ends with its process. What is
// written is as durable as the process is, so syncing does nothing, and locks hold between those who
// have the same files.

import { posix } from 'node:path';
import { grown } from '../../domain/values/grown.ts';
import { fileFailure } from './failures.ts';
import type {
  FileFacts,
  FileLock,
  FilePort,
  Locked,
  LockRequest,
  OpenFile,
  OpenMode,
} from './file-port.ts';
import { otherMemory } from './memory-file.ts';

interface HeldFile {
  bytes: Uint8Array<ArrayBuffer>;
  sizeBytes: number;
  modifiedAtMs: number;
}

/** A file, or a folder: nothing is known of one but its name. */
type Held = HeldFile | 'folder';

const refusal = (errno: string, operation: string, path: string): Error =>
  fileFailure(Object.assign(new Error(errno), { code: errno }), { operation, path });

/** Runs at once; what it throws rejects, as a real disk's answers do. */
const attempt = <T>(work: () => T): Promise<T> =>
  new Promise((resolve) => {
    resolve(work());
  });

function readFrom({ bytes, sizeBytes }: HeldFile, target: Uint8Array, offset: number): number {
  const part = bytes.subarray(Math.min(offset, sizeBytes), sizeBytes).subarray(0, target.length);
  target.set(part);
  return part.length;
}

function writeTo(file: HeldFile, given: Uint8Array, offset: number): void {
  const end = offset + given.length;
  file.bytes = grown(file.bytes, end);
  file.bytes.set(given, offset);
  file.sizeBytes = Math.max(file.sizeBytes, end);
  file.modifiedAtMs = Date.now();
}

function truncate(file: HeldFile, sizeBytes: number): void {
  file.bytes = grown(file.bytes, sizeBytes);
  file.bytes.fill(0, Math.min(sizeBytes, file.sizeBytes));
  file.sizeBytes = sizeBytes;
  file.modifiedAtMs = Date.now();
}

const emptyFile = (): HeldFile => ({
  bytes: new Uint8Array(0),
  sizeBytes: 0,
  modifiedAtMs: Date.now(),
});

interface Opened {
  readonly file: HeldFile;
  readonly isNamed: () => boolean;
  readonly changed: () => void;
}

function openFile(path: string, { file, isNamed, changed }: Opened): OpenFile {
  const readNow = (target: Uint8Array, offset: number): number => readFrom(file, target, offset);
  const writeNow = (bytes: Uint8Array, offset: number): void => {
    writeTo(file, bytes, offset);
    changed();
  };
  return {
    path,
    memory: otherMemory({
      read: readNow,
      write: (bytes, offset) => {
        writeNow(bytes, offset);
        return bytes.length;
      },
    }),
    readNow,
    writeNow,
    read: (target, offset) => attempt(() => readNow(target, offset)),
    write: (bytes, offset) =>
      attempt(() => {
        writeNow(bytes, offset);
      }),
    append: (bytes) =>
      attempt(() => {
        writeNow(bytes, file.sizeBytes);
      }),
    sync: () => Promise.resolve(),
    sizeBytes: () => attempt(() => file.sizeBytes),
    isNamed: () => attempt(isNamed),
    truncate: (sizeBytes) =>
      attempt(() => {
        truncate(file, sizeBytes);
        changed();
      }),
    close: () => Promise.resolve(),
  };
}

const factsOf = (held: Held): FileFacts =>
  held === 'folder'
    ? { sizeBytes: 0, modifiedAtMs: 0, isFolder: true, isFile: false }
    : {
        sizeBytes: held.sizeBytes,
        modifiedAtMs: held.modifiedAtMs,
        isFolder: false,
        isFile: true,
      };

/** Locks of files by path: how many hold one together, or that one does alone. */
class Locks {
  readonly #holders = new Map<string, number | 'alone'>();

  /** Nobody is waited for: who holds a lock may be who asks. */
  take(path: string, { kind }: LockRequest): FileLock | null {
    const holders = this.#holders.get(path) ?? 0;
    if (holders === 'alone' || (kind === 'exclusive' && holders > 0)) return null;
    this.#holders.set(path, kind === 'exclusive' ? 'alone' : holders + 1);
    const release = (): Promise<void> => {
      const now = this.#holders.get(path);
      this.#holders.set(path, typeof now === 'number' ? now - 1 : 0);
      return Promise.resolve();
    };
    return { _tag: 'lock', release };
  }
}

/** Files of their own; the folder `/` is there. */
export class MemoryFiles implements FilePort {
  readonly #names = new Map<string, Held>([['/', 'folder']]);
  readonly #locks = new Locks();
  readonly #watchers = new Map<string, Set<() => void>>();

  #file(path: string, operation: string): HeldFile {
    const held = this.#names.get(path);
    if (held === undefined) throw refusal('ENOENT', operation, path);
    if (held === 'folder') throw refusal('EISDIR', operation, path);
    return held;
  }

  #name(path: string, held: Held, operation: string): void {
    if (this.#names.get(posix.dirname(path)) !== 'folder') throw refusal('ENOENT', operation, path);
    this.#names.set(path, held);
  }

  open(path: string, mode: OpenMode): Promise<OpenFile> {
    return attempt(() => {
      const isThere = this.#names.has(path);
      if (mode === 'new' && isThere) throw refusal('EEXIST', 'open', path);
      if ((mode === 'create' || mode === 'new') && !isThere) this.#name(path, emptyFile(), 'open');
      const file = this.#file(path, 'open');
      return openFile(path, {
        file,
        isNamed: () => this.#names.get(path) === file,
        changed: () => {
          for (const changed of this.#watchers.get(path) ?? []) setImmediate(changed);
        },
      });
    });
  }

  load(path: string, sizeBytesMax: number): Promise<Uint8Array | null> {
    return attempt(() => {
      if (!this.#names.has(path)) return null;
      const { bytes, sizeBytes } = this.#file(path, 'read');
      return bytes.slice(0, Math.min(sizeBytes, sizeBytesMax));
    });
  }

  facts(path: string): Promise<FileFacts | null> {
    return attempt(() => {
      const held = this.#names.get(path);
      return held === undefined ? null : factsOf(held);
    });
  }

  /** There are no links here. */
  nameFacts(path: string): Promise<FileFacts | null> {
    return this.facts(path);
  }

  list(folder: string): Promise<readonly string[]> {
    return attempt(() =>
      [...this.#names.keys()]
        .filter((path) => path !== folder && posix.dirname(path) === folder)
        .map((path) => posix.basename(path))
        .toSorted(),
    );
  }

  makeFolder(folder: string): Promise<void> {
    return attempt(() => {
      for (let path = folder; !this.#names.has(path); path = posix.dirname(path))
        this.#names.set(path, 'folder');
    });
  }

  rename(source: string, target: string): Promise<void> {
    return attempt(() => {
      this.#name(target, this.#file(source, 'rename a file to'), 'rename a file to');
      this.#names.delete(source);
    });
  }

  link(source: string, target: string): Promise<boolean> {
    return attempt(() => {
      if (this.#names.has(target)) return false;
      this.#name(target, this.#file(source, 'link a file to'), 'link a file to');
      return true;
    });
  }

  remove(path: string): Promise<boolean> {
    return attempt(() => this.#names.delete(path));
  }

  syncFolder(): Promise<void> {
    return Promise.resolve();
  }

  watch(path: string, changed: () => void): () => void {
    const watchers = this.#watchers.get(path) ?? new Set();
    this.#watchers.set(path, watchers.add(changed));
    return () => watchers.delete(changed);
  }

  async lock(path: string, request: LockRequest): Promise<Locked> {
    await this.open(path, 'create');
    return this.#locks.take(path, request) ?? { _tag: 'busy' };
  }
}
