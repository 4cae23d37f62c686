// The file port: the few operations the stores need, so that a test can put a disk under them that
// loses what was not synced (tests/simulation/lossy-files.ts). The real one is in files.ts.
//
// What it promises, and what a store may build on: `append` is one write call to a file opened with
// O_APPEND, so appends of several processes do not interleave; `sync` makes a file's bytes and size
// durable; a name that was made, renamed or removed is durable after `syncFolder` of its folder.
// Failures are LedgerErrors: DISK_FULL, READ_ONLY, or IO_FAILED with the system's own code.

import type { MemoryFile } from '../../domain/ports/guests.ts';

/**
 * How a file is opened. `read`: must exist. `edit`: read and write, must exist. `create`: read and
 * write, made if absent. `new`: read and write, must not exist. `append`: read and append, must
 * exist; `write` is not for such a file. Only regular files are opened, and only `read` goes through a
 * link: what else stands in a file's place is IO_FAILED, at once.
 */
export type OpenMode = 'read' | 'edit' | 'create' | 'new' | 'append';

export interface OpenFile {
  readonly path: string;
  /** Its bytes, as the page engine reads and writes them; valid until it is closed. */
  readonly memory: MemoryFile;
  /** Fills `target` from `offsetBytes`; the bytes read are fewer only at the file's end. */
  read(target: Uint8Array, offsetBytes: number): Promise<number>;
  /** As `read`, before it returns: for a look-up in the middle of a batch. */
  readNow(target: Uint8Array, offsetBytes: number): number;
  /** Writes all of `bytes` at `offsetBytes`. */
  write(bytes: Uint8Array, offsetBytes: number): Promise<void>;
  /** As `write`, before it returns. */
  writeNow(bytes: Uint8Array, offsetBytes: number): void;
  /** Adds `bytes` at the file's end in one write call; less than all of it is DISK_FULL. */
  append(bytes: Uint8Array): Promise<void>;
  /** Makes the bytes written so far durable (fdatasync). */
  sync(): Promise<void>;
  sizeBytes(): Promise<number>;
  /** Whether its name still stands for it: another file may have taken its place. */
  isNamed(): Promise<boolean>;
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

export interface LockRequest {
  /** `shared` ones stand beside each other, an `exclusive` one alone. */
  readonly kind: 'shared' | 'exclusive';
  /** How long another holder is waited for; absent: not at all. In whole seconds. */
  readonly waitS?: number;
}

/** A lock that is held until it is released. */
export interface FileLock {
  readonly _tag: 'lock';
  release(): Promise<void>;
}

/** `busy`: somebody else holds it. `unavailable`: no lock can be had here, with the reason. */
export type Locked =
  FileLock | { readonly _tag: 'busy' } | { readonly _tag: 'unavailable'; readonly reason: string };

export interface FilePort {
  /**
   * `permissions`: exactly those of a file that this makes, whatever the umask; absent: the owner's
   * alone, and in a folder of somebody else's, if root makes it, that one's.
   */
  open(path: string, mode: OpenMode, permissions?: number): Promise<OpenFile>;
  /** A file to be opened where it is read, on any thread. Absent: open files alone can be read. */
  readonly memoryOf?: (path: string) => MemoryFile;
  /** A small file's bytes, read at once; null when it is absent. More than `sizeBytesMax` is cut. */
  load(path: string, sizeBytesMax: number): Promise<Uint8Array | null>;
  /** Null when there is nothing of that name. */
  facts(path: string): Promise<FileFacts | null>;
  /** As `facts`, but of a link itself, also of one that leads nowhere. */
  nameFacts(path: string): Promise<FileFacts | null>;
  /** Names in a folder, sorted; none when it is absent. */
  list(folder: string): Promise<readonly string[]>;
  /** Makes a folder and those above it; existing ones are fine. `permissions` as of `open`. */
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
  /**
   * Locks a file, made if absent, against every other process that locks it, wherever on this host it
   * runs; the lock ends with the process. `unavailable`: there are no locks here.
   */
  lock(path: string, request: LockRequest): Promise<Locked>;
}
