// The file that a guest's memory is read from. What cannot be read twice (standard input, a pipe) goes
// through a temporary file without a name.

import {
  closeSync,
  createReadStream,
  fstatSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import type { ImageFacts } from '../../../domain/ports/guests.ts';
import { imageFactsOf } from './image-folder.ts';
import { sinkOfDescriptor } from '../byte-sink.ts';
import { makeTemporaryFolder } from '../temporary-folder.ts';

export interface ImageFile {
  readonly fd: number;
  readonly sizeBytes: number;
  /** When it was last written, milliseconds since 1970; null for a pipe. */
  readonly modifiedAtMs: number | null;
  /** What a message calls it. */
  readonly label: string;
  /** What it is known by; null: it is no regular file. */
  readonly facts: ImageFacts | null;
  /** Whether others may have it too, and write to it. */
  readonly isShared: boolean;
  close(): void;
}

export interface OpenFileRequest {
  /** A file or block device; `-` is `stdin`. */
  readonly path: string;
  readonly stdin?: Readable;
  /** For temporary files; absent: the system's. */
  readonly folder?: string;
}

const SECTOR_BYTES = 512;

/** What a message calls a path. */
export const labelOfPath = (path: string): string => (path === '-' ? 'standard input' : path);

/** Whether what stands there can be read only once: a pipe, a socket. */
export function isReadOnce(path: string): boolean {
  const stats = statSync(path);
  return stats.isFIFO() || stats.isSocket();
}

export async function openImageFile(request: OpenFileRequest): Promise<ImageFile> {
  const label = labelOfPath(request.path);
  if (request.path === '-') return spooled(request, request.stdin ?? process.stdin);
  const fd = openSync(request.path, 'r');
  try {
    const stats = fstatSync(fd, { bigint: true });
    const close = (): void => closeSync(fd);
    if (stats.isFile()) {
      const facts = imageFactsOf(request.path, stats);
      const modifiedAtMs = Number(stats.mtimeMs);
      return { fd, sizeBytes: facts.bytes, modifiedAtMs, facts, label, isShared: true, close };
    }
    if (stats.isBlockDevice()) {
      const sizeBytes = blockDeviceBytes(stats);
      return { fd, sizeBytes, modifiedAtMs: null, facts: null, label, isShared: true, close };
    }
    if (stats.isFIFO() || stats.isSocket()) {
      const pipe = createReadStream('', { fd, autoClose: false });
      const file = await spooled(request, pipe);
      closeSync(fd);
      return file;
    }
    throw new LedgerError(
      'SOURCE_UNREADABLE',
      `${label} is ${stats.isDirectory() ? 'a folder' : 'a device of characters'}: expected a ` +
        `file, a block device or a pipe${stats.isDirectory() ? '; --new takes folders' : ''}`,
      { label },
    );
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** A block device's size is not in its inode: the kernel lists it by number. */
function blockDeviceBytes(stats: BigIntStats): number {
  const number = Number(stats.rdev);
  const major = Math.floor(number / 256) % 4096;
  const minor = (number % 256) + Math.floor(number / 2 ** 20) * 256;
  const sectors = Number(readFileSync(`/sys/dev/block/${major}:${minor}/size`, 'utf8'));
  return sectors * SECTOR_BYTES;
}

/** A temporary file without a name, filled from what can be read only once, or is made of a file. */
export async function spooled(
  request: OpenFileRequest,
  chunks: AsyncIterable<Uint8Array>,
): Promise<ImageFile> {
  const folder = makeTemporaryFolder('pageledger-input-', request.folder);
  let fd: number;
  try {
    fd = openSync(join(folder, 'bytes'), 'wx+', 0o600);
  } finally {
    rmSync(folder, { recursive: true });
  }
  try {
    const sink = sinkOfDescriptor(fd);
    for await (const chunk of chunks) await sink(chunk);
    const { size: sizeBytes } = fstatSync(fd);
    const label = labelOfPath(request.path);
    const close = (): void => closeSync(fd);
    return { fd, sizeBytes, modifiedAtMs: null, facts: null, label, isShared: false, close };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}
