// A file that somebody asked for by name, and that takes its place only once it is whole and on the
// disk: until then what was there stays there. It is written under another name in the same folder.

import { randomBytes } from 'node:crypto';
import { dirname, join } from 'node:path';
import { isLedgerError, LedgerError } from '../../domain/values/ledger-error.ts';
import type { FileFacts, FilePort, OpenFile } from './file-port.ts';

/** Permissions where nothing is replaced: the owner's alone. */
const PRIVATE = 0o600;
const NAME_BYTES = 8;

export interface Replacement {
  /** The new file, empty at first. */
  readonly file: OpenFile;
  /** Says how much of it is written: that is put onto the disk while the rest is being made. */
  wrote(bytes: number): void;
  /** Makes the file durable and gives it its name. */
  place(): Promise<void>;
  /** Leaves everything as it was. */
  discard(): Promise<void>;
}

export interface ReplacementRequest {
  readonly files: FilePort;
  readonly path: string;
  /** What is there may be replaced. */
  readonly isForced: boolean;
}

/** Bytes that are worth being put onto the disk ahead of the rest. */
const EARLY_BYTES = 32 * 1024 * 1024;

/**
 * Puts what is written of a file onto the disk while more is written. The system tells a failure to do so
 * once only: it is kept, and told by `settle`.
 */
class EarlySync {
  readonly #file: OpenFile;
  #doneBytes = 0;
  #running: Promise<void> | null = null;
  #failure: unknown = null;

  constructor(file: OpenFile) {
    this.#file = file;
  }

  wrote(bytes: number): void {
    if (this.#running !== null || bytes - this.#doneBytes < EARLY_BYTES) return;
    this.#doneBytes = bytes;
    this.#running = this.#file
      .sync()
      .catch((thrown: unknown) => {
        this.#failure ??= thrown;
      })
      .finally(() => {
        this.#running = null;
      });
  }

  /** Waits until none is under way; throws why one failed. */
  async settle(): Promise<void> {
    await this.#running;
    if (this.#failure !== null) throw this.#failure;
  }
}

const unwritable = (path: string, why: string, cause?: unknown): LedgerError =>
  new LedgerError(
    'TARGET_UNWRITABLE',
    `${JSON.stringify(path)} cannot be written: ${why}; name a file in a folder that can be written`,
    { path },
    cause,
  );

/** What stands at the path and may be replaced; null: nothing. */
async function replaced({ files, path, isForced }: ReplacementRequest): Promise<FileFacts | null> {
  if (path === '' || path.endsWith('/')) throw unwritable(path, 'it is no name of a file');
  const found = await files.nameFacts(path);
  if (found === null) return null;
  if (!isForced)
    throw new LedgerError(
      'TARGET_EXISTS',
      `${path} exists already; say --force to replace it, or name another file`,
      { path },
    );
  if (!found.isFile)
    throw unwritable(path, 'what is there is no regular file, and only such a one is replaced');
  return found;
}

/** Opens a file for the place of another. TARGET_EXISTS unless forced, TARGET_UNWRITABLE. */
export async function openReplacement(request: ReplacementRequest): Promise<Replacement> {
  const { files, path } = request;
  const folder = dirname(path);
  const temporary = join(folder, `.pageledger-${randomBytes(NAME_BYTES).toString('hex')}`);
  let file: OpenFile;
  try {
    const before = await replaced(request);
    file = await files.open(temporary, 'new', before?.permissions ?? PRIVATE);
  } catch (thrown) {
    const isTold = !isLedgerError(thrown) || thrown.code.startsWith('TARGET_');
    throw isTold ? thrown : unwritable(path, thrown.message, thrown);
  }
  const early = new EarlySync(file);
  return {
    file,
    wrote: (bytes) => early.wrote(bytes),
    place: async () => {
      await early.settle();
      await file.sync();
      await file.close();
      await files.rename(temporary, path);
      await files.syncFolder(folder);
    },
    discard: async () => {
      await early.settle().catch(() => undefined);
      await file.close().catch(() => undefined);
      await files.remove(temporary);
    },
  };
}
