// A file that may be closed while others read it: reads that are under way end first, later ones are
// refused. Without it a read could hit a descriptor that the system has given to another file.

import { LedgerError } from '../../domain/values/ledger-error.ts';
import type { OpenFile } from './file-port.ts';

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
type LogFile = Pick<
  OpenFile,
  'path' | 'read' | 'sizeBytes' | 'isNamed' | 'append' | 'sync' | 'close'
>;

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

  isNamed(): Promise<boolean> {
    return this.#run(() => this.#file.isNamed());
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await Promise.allSettled(this.#running);
    await this.#file.close();
  }
}
