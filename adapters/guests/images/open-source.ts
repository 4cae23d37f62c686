// Opens a file that is to be recorded: raw memory is read where it lies, a stream of QEMU's goes
// through a spool, what cannot be read twice (standard input, a pipe) through a temporary file.

import {
  closeSync,
  createReadStream,
  fstatSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
} from 'node:fs';
import type { Stats } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import type { TaskEither } from 'fp-ts/lib/TaskEither.js';
import * as taskEither from 'fp-ts/lib/TaskEither.js';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { flatMap } from '../../../domain/values/memory-map.ts';
import type { MemoryMap } from '../../../domain/values/memory-map.ts';
import type { Image } from '../../../domain/ports/guests.ts';
import { PAGE_BYTES, VM_PAGES_MAX } from '../../../domain/values/page.ts';
import { memoryOfDescriptor } from '../../files/memory-file.ts';
import { sourceOfFile } from '../qemu/byte-window.ts';
import { failureOf } from '../qemu/failure.ts';
import { Spool } from '../qemu/spool.ts';
import type { DeviceState } from '../../../domain/values/device-state.ts';
import { readStreamOrThrow } from '../qemu/stream-reader.ts';
import { sinkOfFile } from '../qemu/stream-writer.ts';
import { DETECT_BYTES, detectFormat, FOREIGN_FORMATS, isReadable } from './image-format.ts';
import type { ReadableFormat } from './image-format.ts';
import { streamOffsetOf } from './libvirt-save.ts';

export interface OpenSourceRequest {
  /** A file or block device; `-` is `stdin`. */
  readonly path: string;
  /** Absent: recognised. */
  readonly format?: ReadableFormat;
  readonly stdin?: Readable;
  /** For temporary files; absent: the system's. */
  readonly folder?: string;
}

/** A guest's memory, ready to be recorded. */
export interface MemorySource {
  readonly format: ReadableFormat;
  /** Valid until `close`. */
  readonly image: Image;
  readonly memoryMap: MemoryMap;
  /** What a stream has beside memory; null for a raw image. */
  readonly device: DeviceState | null;
  /** When the file was last written, milliseconds since 1970; null for a pipe. */
  readonly modifiedAtMs: number | null;
  close(): void;
}

const SECTOR_BYTES = 512;
const STDIN_LABEL = 'standard input';

/** Opens a source; the caller closes it. */
export const openSource = (request: OpenSourceRequest): TaskEither<LedgerError, MemorySource> =>
  taskEither.tryCatch(
    () => open(request),
    (thrown) =>
      failureOf(thrown, {
        code: 'SOURCE_UNREADABLE',
        doing: `cannot read ${request.path === '-' ? STDIN_LABEL : request.path}`,
        data: { path: request.path },
      }),
  );

async function open(request: OpenSourceRequest): Promise<MemorySource> {
  const label = request.path === '-' ? STDIN_LABEL : request.path;
  const file = await openFile(request, label);
  try {
    const first = new Uint8Array(DETECT_BYTES);
    const count = readSync(file.fd, first, 0, first.length, 0);
    if (count === 0) {
      throw new LedgerError(
        'SOURCE_EMPTY',
        `${label} is empty: expected a guest's memory; check how it was written`,
        { label },
      );
    }
    const format = formatOf(request, first.subarray(0, count), label);
    if (format === 'raw') return rawSource(file, label);
    const offsetBytes = format === 'libvirt' ? streamOffsetOf(first.subarray(0, count), label) : 0;
    return await streamSource({ file, label, format, offsetBytes, request });
  } catch (error) {
    file.close();
    throw error;
  }
}

function formatOf(request: OpenSourceRequest, first: Uint8Array, label: string): ReadableFormat {
  const found = request.format ?? detectFormat(first);
  if (isReadable(found)) return found;
  throw new LedgerError(
    'SOURCE_FORMAT',
    `${label} is recognised but not supported yet. It is ${FOREIGN_FORMATS[found]}; if it is raw ` +
      'memory all the same, say --format raw',
    { label, format: found },
  );
}

interface OpenFile {
  readonly fd: number;
  readonly sizeBytes: number;
  readonly modifiedAtMs: number | null;
  close(): void;
}

async function openFile(request: OpenSourceRequest, label: string): Promise<OpenFile> {
  if (request.path === '-') return spooled(request, request.stdin ?? process.stdin);
  const fd = openSync(request.path, 'r');
  try {
    const stats = fstatSync(fd);
    const close = (): void => closeSync(fd);
    if (stats.isFile()) {
      return { fd, sizeBytes: stats.size, modifiedAtMs: Math.floor(stats.mtimeMs), close };
    }
    if (stats.isBlockDevice()) {
      return { fd, sizeBytes: blockDeviceBytes(stats), modifiedAtMs: null, close };
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
        'file, a block device or a pipe',
      { label },
    );
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** A block device's size is not in its inode: the kernel lists it by number. */
function blockDeviceBytes(stats: Stats): number {
  const major = Math.floor(stats.rdev / 256) % 4096;
  const minor = (stats.rdev % 256) + Math.floor(stats.rdev / 2 ** 20) * 256;
  const sectors = Number(readFileSync(`/sys/dev/block/${major}:${minor}/size`, 'utf8'));
  return sectors * SECTOR_BYTES;
}

/** A temporary file without a name, filled from what can be read only once. */
async function spooled(request: OpenSourceRequest, input: Readable): Promise<OpenFile> {
  const folder = mkdtempSync(join(request.folder ?? tmpdir(), 'pageledger-input-'));
  let fd: number;
  try {
    fd = openSync(join(folder, 'bytes'), 'wx+', 0o600);
  } finally {
    rmSync(folder, { recursive: true });
  }
  try {
    const sink = sinkOfFile(fd);
    const chunks: AsyncIterable<Uint8Array> = input;
    for await (const chunk of chunks) await sink(chunk);
    const { size: sizeBytes } = fstatSync(fd);
    return { fd, sizeBytes, modifiedAtMs: null, close: () => closeSync(fd) };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function rawSource(file: OpenFile, label: string): MemorySource {
  const pageCount = file.sizeBytes / PAGE_BYTES;
  if (!Number.isInteger(pageCount) || pageCount > VM_PAGES_MAX || pageCount === 0) {
    throw new LedgerError(
      'SOURCE_SIZE',
      `${label} has ${file.sizeBytes} bytes: expected a multiple of ${PAGE_BYTES}, at most ` +
        `${VM_PAGES_MAX} pages; it is cut short or no raw image of memory`,
      { label, sizeBytes: file.sizeBytes },
    );
  }
  return {
    format: 'raw',
    image: {
      file: memoryOfDescriptor(file.fd),
      offsetBytes: 0,
      pageCount,
      zeros: null,
      label,
    },
    memoryMap: flatMap(pageCount),
    device: null,
    modifiedAtMs: file.modifiedAtMs,
    close: () => file.close(),
  };
}

async function streamSource(parts: {
  readonly file: OpenFile;
  readonly label: string;
  readonly format: ReadableFormat;
  readonly offsetBytes: number;
  readonly request: OpenSourceRequest;
}): Promise<MemorySource> {
  const { file, label, offsetBytes } = parts;
  const { folder } = parts.request;
  const spool = new Spool(folder === undefined ? {} : { folder });
  try {
    const source = sourceOfFile({ fd: file.fd, offsetBytes });
    const state = await readStreamOrThrow({ source, spool, label });
    file.close();
    return {
      format: parts.format,
      image: state.image,
      memoryMap: state.memoryMap,
      device: state.device,
      modifiedAtMs: file.modifiedAtMs,
      close: () => spool.close(),
    };
  } catch (error) {
    spool.close();
    throw error;
  }
}
