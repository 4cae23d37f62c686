// What a guest's memory is taken from: a line for each format of file and for each way to a live
// guest. A new one is a module that gives a GuestSource (domain/ports/guests.ts), and a line here.

import { readSync } from 'node:fs';
import { pipe } from 'fp-ts/lib/function.js';
import type { TaskEither } from 'fp-ts/lib/TaskEither.js';
import * as taskEither from 'fp-ts/lib/TaskEither.js';
import type { GuestCapture, GuestSource, ImageFacts } from '../../domain/ports/guests.ts';
import { atPort } from '../../domain/ports/run.ts';
import { assert } from '../../domain/values/assert.ts';
import { LedgerError } from '../../domain/values/ledger-error.ts';
import type { MemoryBlock } from '../../domain/values/memory-map.ts';
import type { ToldLayout } from '../../domain/values/raw-layout.ts';
import {
  isReadOnce,
  labelOfPath,
  openImageFile,
  type ImageFile,
  type OpenFileRequest,
} from './images/image-file.ts';
import { FOREIGN_FORMATS, isForeign } from './images/foreign-formats.ts';
import {
  DETECT_BYTES,
  DETECT_TAIL_BYTES,
  detectFormat,
  type FileEnds,
  type ImageFormat,
} from './images/image-format.ts';
import { openDump } from './dumps/dump-source.ts';
import { readElfCore } from './dumps/elf-core.ts';
import { LIME_MAGIC, readLime } from './dumps/lime.ts';
import { openLibvirtSave } from './images/libvirt-save.ts';
import { openRawImage } from './images/raw-image.ts';
import { guestFailure } from './qemu/failure.ts';
import { openLiveGuest, parkGuest } from './qemu/live-source.ts';
import { openStreamFile } from './qemu/stream-source.ts';

/** Formats of files, and by what first bytes they are known; `raw` is what is left. */
export const IMAGE_FORMATS = {
  raw: { magics: [], open: openRawImage },
  qemu: { magics: ['QEVM'], open: (of) => openStreamFile(of) },
  libvirt: { magics: ['LibvirtQemudSave'], open: openLibvirtSave },
  elf: { magics: [], open: openDump(readElfCore) },
  lime: { magics: [LIME_MAGIC], open: openDump(readLime) },
} as const satisfies Readonly<Record<string, ImageFormat>>;
export type ImageFormatName = keyof typeof IMAGE_FORMATS;

/** Ways to a live guest: to record it again and again, or once for good. */
export const LIVE_GUESTS = { qmp: openLiveGuest, parked: parkGuest } as const;

/** Whether files of a format are read. */
export const isReadable = (format: string): format is ImageFormatName =>
  Object.hasOwn(IMAGE_FORMATS, format);

export interface OpenSourceRequest extends OpenFileRequest {
  /** Absent: recognised. */
  readonly format?: ImageFormatName;
  /** Whether the file's holes are pages that did not change: it is a raw one. */
  readonly isDifference?: boolean;
  /** The capture's time; null: when the file was last written, or now. */
  readonly timeMs: number | null;
  readonly clock: () => number;
  /** How the file lies, of a raw one; absent: nothing is said. */
  readonly told?: ToldLayout;
  /** The blocks of memory that the VM has, which keep their order; absent: none. */
  readonly known?: readonly MemoryBlock[];
}

const atSource = <A>({ path }: OpenFileRequest, work: () => Promise<A>) =>
  atPort(work, (thrown) =>
    guestFailure(thrown, {
      code: 'SOURCE_UNREADABLE',
      doing: `cannot read ${labelOfPath(path)}`,
      data: { path },
    }),
  );

/** Opens a file as a source; the caller closes it. */
export const openImage = (request: OpenSourceRequest): TaskEither<LedgerError, GuestSource> =>
  atSource(request, () => open(request));

/**
 * Refuses a file that no source can be opened from, as its first bytes and its size tell; what can be
 * read only once is not looked at.
 */
export const checkImage = (
  request: Omit<OpenSourceRequest, 'timeMs'>,
): TaskEither<LedgerError, void> => atSource(request, () => check({ ...request, timeMs: null }));

async function check(request: OpenSourceRequest): Promise<void> {
  const { path, clock } = request;
  if (path === '-' || isReadOnce(path)) return;
  const file = await openImageFile(request);
  try {
    const first = firstBytes(file);
    const isRaw = formatOf(request, file, first) === 'raw';
    // Others are read through to be opened.
    if (isRaw) await openRawImage({ file, first, path, timeMs: clock(), isDifference: false });
  } finally {
    file.close();
  }
}

function firstBytes(file: ImageFile): Uint8Array {
  const first = bytesAt(file, 0, DETECT_BYTES);
  if (first.length > 0) return first;
  throw new LedgerError(
    'SOURCE_EMPTY',
    `${file.label} is empty: expected a guest's memory; check how it was written`,
    { label: file.label },
  );
}

async function open(request: OpenSourceRequest): Promise<GuestSource> {
  const { path, folder, clock, known, told } = request;
  const file = await openImageFile(request);
  try {
    const first = firstBytes(file);
    const timeMs = Math.floor(request.timeMs ?? file.modifiedAtMs ?? clock());
    const of = {
      file,
      first,
      path,
      timeMs,
      isDifference: request.isDifference === true,
      ...(folder === undefined ? {} : { folder }),
      ...(known === undefined ? {} : { known }),
      ...(told === undefined ? {} : { told }),
    };
    return ofFile(await IMAGE_FORMATS[formatOf(request, file, first)].open(of), file.facts);
  } catch (error) {
    file.close();
    throw error;
  }
}

/** A source whose captures say which file they are of. */
function ofFile(source: GuestSource, facts: ImageFacts | null): GuestSource {
  if (facts === null) return source;
  const capture = (): TaskEither<LedgerError, GuestCapture> =>
    pipe(
      source.capture(),
      taskEither.map((captured) => ({ ...captured, file: facts })),
    );
  return { warnings: source.warnings, capture, close: () => source.close() };
}

function bytesAt({ fd }: ImageFile, offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  return bytes.subarray(0, readSync(fd, bytes, 0, length, offset));
}

function formatOf(request: OpenSourceRequest, file: ImageFile, first: Uint8Array): ImageFormatName {
  const { label, sizeBytes } = file;
  const endAt = Math.max(0, sizeBytes - DETECT_TAIL_BYTES);
  const ends = (): FileEnds => ({ first, last: bytesAt(file, endAt, DETECT_TAIL_BYTES) });
  const found = request.format ?? detectFormat(ends(), IMAGE_FORMATS);
  if (isReadable(found)) {
    if (request.told !== undefined && found !== 'raw')
      throw new LedgerError(
        'SOURCE_FORMAT',
        `${label} is no raw memory (it is of the format ${found}) and says itself where its memory lies; leave --layout and --machine out`,
        { label, format: found },
      );
    if (request.isDifference !== true || (found === 'raw' && file.isShared)) return found;
    throw new LedgerError(
      'SOURCE_FORMAT',
      `${label} is no sparse file of raw memory, so it cannot be a difference; leave --diff out`,
      { label, format: found },
    );
  }
  assert(isForeign(found), 'a format that is recognised is one of ours or a foreign one');
  const { is, instead } = FOREIGN_FORMATS[found];
  throw new LedgerError(
    'SOURCE_FORMAT',
    `${label} is ${is}, which is not read as memory: ${instead}. If it is raw memory all the ` +
      'same, say --format raw',
    { label, format: found },
  );
}
