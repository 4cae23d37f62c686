// Embedded event logs in folders that are gone afterwards, on this machine's disk or in memory.

import { join } from 'node:path';
import type { FilePort } from '../../../adapters/files/file-port.ts';
import { nodeFiles } from '../../../adapters/files/files.ts';
import {
  openEventLog,
  type EmbeddedEventLog,
  type OpenEventLog,
} from '../../../adapters/stores/event-log-embedded/event-log-embedded.ts';
import { HEADS_FOLDER, LOG_FILE } from '../../../adapters/stores/event-log-embedded/layout.ts';
import { LossyFiles } from '../../simulation/lossy-files.ts';
import { valueOf } from '../outcomes.ts';
import { makeTemporaryFolder } from '../disks/temporary-folder.ts';

export type LogFormat = 1 | 2;
export const LOG_FORMATS: readonly LogFormat[] = [1, 2];

/** Makes the files of an empty log as a release made them that knew only format 1. */
export async function makeFormat1(folder: string, files: FilePort): Promise<void> {
  await files.makeFolder(join(folder, HEADS_FOLDER));
  await (await files.open(join(folder, LOG_FILE), 'create')).close();
  await files.syncFolder(folder);
}

type OpenOptions = Pick<OpenEventLog, 'readOnly' | 'segmentBytesMax'>;

/** A folder with a log, and the logs opened on it. */
export class EmbeddedLogFolder {
  readonly folder: string;
  readonly #files: FilePort;
  readonly #logs = new Set<EmbeddedEventLog>();
  readonly #remove: () => Promise<void>;

  /** One on a disk in memory: many times faster. */
  static async inMemory(format: LogFormat = 2): Promise<EmbeddedLogFolder> {
    const path = '/log';
    const files = new LossyFiles([path]);
    if (format === 1) await makeFormat1(path, files);
    return new EmbeddedLogFolder(path, files, () => Promise.resolve());
  }

  private constructor(folder: string, files: FilePort, remove: () => Promise<void>) {
    this.folder = folder;
    this.#files = files;
    this.#remove = remove;
  }

  static async make(
    files: FilePort = nodeFiles,
    format: LogFormat = 2,
  ): Promise<EmbeddedLogFolder> {
    const temporary = await makeTemporaryFolder();
    if (format === 1) await makeFormat1(temporary.path, files);
    return new EmbeddedLogFolder(temporary.path, files, () => temporary.remove());
  }

  get path(): string {
    return join(this.folder, LOG_FILE);
  }

  witnessPath(stream: string): string {
    return join(this.folder, HEADS_FOLDER, stream);
  }

  /** The files of the log, in order. */
  async segmentPaths(): Promise<string[]> {
    const names = await this.#files.list(this.folder);
    return names.filter((name) => name.endsWith('.log')).map((name) => join(this.folder, name));
  }

  /** The file that is appended to. */
  async livePath(): Promise<string> {
    return (await this.segmentPaths()).at(-1)!;
  }

  async open(options: OpenOptions = {}): Promise<EmbeddedEventLog> {
    const request = { folder: this.folder, files: this.#files, ...options };
    const log = await valueOf(openEventLog(request));
    this.#logs.add(log);
    return log;
  }

  /** Runs `work` on a log of its own, which is closed afterwards. */
  async with<T>(work: (log: EmbeddedEventLog) => Promise<T>): Promise<T> {
    const log = await this.open();
    try {
      return await work(log);
    } finally {
      await log.close();
      this.#logs.delete(log);
    }
  }

  async closeLogs(): Promise<void> {
    for (const log of this.#logs) await log.close();
    this.#logs.clear();
  }

  async bytes(path = this.path): Promise<Uint8Array> {
    const file = await this.#files.open(path, 'read');
    const bytes = new Uint8Array(await file.sizeBytes());
    await file.read(bytes, 0);
    await file.close();
    return bytes;
  }

  /** Makes the log file, or another, consist of these bytes. */
  async write(bytes: Uint8Array, path = this.path): Promise<void> {
    const file = await this.#files.open(path, 'create');
    await file.truncate(0);
    await file.write(bytes, 0);
    await file.close();
  }

  async remove(): Promise<void> {
    await this.closeLogs();
    await this.#remove();
  }
}

/** Runs `work` on an empty folder that is gone afterwards. */
export async function withLogFolder<T>(
  work: (folder: EmbeddedLogFolder) => Promise<T>,
  format: LogFormat = 2,
): Promise<T> {
  const folder = await EmbeddedLogFolder.make(nodeFiles, format);
  try {
    return await work(folder);
  } finally {
    await folder.remove();
  }
}
