// A file that may be closed while others read it: reads that are under way end first, later ones are
// refused. Without it a read could hit a descriptor that the system has given to another file.

import { LedgerError } from '../../domain/values/ledger-error.ts';
import type { FilePort, OpenFile } from './files.ts';

export const logClosed = (path: string): LedgerError =>
  new LedgerError(
    'LEDGER_CLOSED',
    `the event log ${path} was closed while it was used; open it again`,
    {
      file: path,
    },
  );

export const logReadOnly = (path: string): LedgerError =>
  new LedgerError(
    'READ_ONLY',
    `${path} was opened for reading, and an append was asked for; open it for writing`,
    { file: path },
  );

/** What a log needs of its file. */
export type LogFile = Pick<OpenFile, 'path' | 'read' | 'sizeBytes' | 'append' | 'sync' | 'close'>;

/** An open file and the operations under way on it. */
export class GuardedFile {
  readonly path: string;
  readonly #file: LogFile;
  readonly #running = new Set<Promise<unknown>>();
  #isClosed = false;

  constructor(file: LogFile) {
    this.#file = file;
    this.path = file.path;
  }

  async #run<T>(operation: () => Promise<T>): Promise<T> {
    if (this.#isClosed) throw logClosed(this.path);
    const running = operation();
    this.#running.add(running);
    try {
      return await running;
    } finally {
      this.#running.delete(running);
    }
  }

  read(target: Uint8Array, offsetBytes: number): Promise<number> {
    return this.#run(() => this.#file.read(target, offsetBytes));
  }

  append(bytes: Uint8Array): Promise<void> {
    return this.#run(() => this.#file.append(bytes));
  }

  sync(): Promise<void> {
    return this.#run(() => this.#file.sync());
  }

  sizeBytes(): Promise<number> {
    return this.#run(() => this.#file.sizeBytes());
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await Promise.allSettled(this.#running);
    await this.#file.close();
  }
}

/** A file for reading that may not be there yet: empty until it is. */
class AwaitedFile implements LogFile {
  readonly path: string;
  readonly #files: FilePort;
  #file: OpenFile | null = null;

  constructor(files: FilePort, path: string) {
    this.path = path;
    this.#files = files;
  }

  async #found(): Promise<OpenFile | null> {
    if (this.#file === null && (await this.#files.facts(this.path)) !== null) {
      const file = await this.#files.open(this.path, 'read');
      // Two calls may have come here at once.
      if (this.#file === null) this.#file = file;
      else await file.close();
    }
    return this.#file;
  }

  async read(target: Uint8Array, offsetBytes: number): Promise<number> {
    return (await this.#found())?.read(target, offsetBytes) ?? 0;
  }

  async sizeBytes(): Promise<number> {
    return (await this.#found())?.sizeBytes() ?? 0;
  }

  append(): Promise<void> {
    return Promise.reject(logReadOnly(this.path));
  }

  sync(): Promise<void> {
    return Promise.reject(logReadOnly(this.path));
  }

  async close(): Promise<void> {
    await this.#file?.close();
  }
}

/** Opens a log file for reading, also one that is not there yet. */
export const openForReading = async (files: FilePort, path: string): Promise<LogFile> =>
  (await files.facts(path)) === null ? new AwaitedFile(files, path) : files.open(path, 'read');
