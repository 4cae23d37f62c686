// What a guest's memory is taken from: a line for each format of file and for each way to a live
// guest. A new one is a module that gives a GuestSource (domain/ports/guests.ts), and a line here.

import { readSync } from 'node:fs';
import { pipe } from 'fp-ts/lib/function.js';
import type { TaskEither } from 'fp-ts/lib/TaskEither.js';
import * as taskEither from 'fp-ts/lib/TaskEither.js';
import type { GuestCapture, GuestSource, ImageFacts } from '../../domain/ports/guests.ts';
import { atPort, run } from '../../domain/ports/run.ts';
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
  type FormatFile,
  type ImageFormat,
  type Moment,
} from './images/image-format.ts';
import { AVML_MAGIC, openAvml } from './dumps/avml.ts';
import { openDump } from './dumps/dump-source.ts';
import { readElfCore } from './dumps/elf-core.ts';
import { KDUMP_MAGICS, openKdump } from './dumps/kdump.ts';
import { LIME_MAGIC, readLime } from './dumps/lime.ts';
import { QCOW2_MAGIC } from './dumps/qcow2.ts';
import { qcow2Moments } from './dumps/qcow2-moments.ts';
import { openVmware, VMWARE_MAGICS, vmwareStateOf } from './dumps/vmware.ts';
import { readWindowsDump, WINDOWS_MAGIC } from './dumps/windows-dump.ts';
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
  avml: { magics: [AVML_MAGIC], open: openAvml },
  windows: { magics: [WINDOWS_MAGIC], open: openDump(readWindowsDump) },
  kdump: { magics: KDUMP_MAGICS, open: openKdump },
  vmware: { magics: VMWARE_MAGICS, open: openVmware },
  qcow2: { magics: [QCOW2_MAGIC], moments: qcow2Moments },
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

/**
 * The moments that a file holds, oldest first, but for those that are known already. Each is closed when
 * the next one is asked for.
 */
export async function* openMoments(
  request: OpenSourceRequest,
  isKnown: (facts: ImageFacts | null) => boolean = () => false,
): AsyncGenerator<GuestSource> {
  const asked = <A>(work: () => Promise<A>): Promise<A> => run(atSource(request, work));
  const { of, format } = await asked(() => begin(request));
  if ('open' in format) {
    const opened = asked(() => format.open(of));
    const source = withCaptured(await opened.catch(closing(of)), fileOf(of.file.facts));
    yield* until(source);
    return;
  }
  try {
    for (const moment of await asked(() => format.moments(of)))
      if (!isKnown(moment.facts)) yield* until(await asked(() => openMoment(moment, request)));
  } finally {
    of.file.close();
  }
}

const closing =
  ({ file }: FormatFile) =>
  (thrown: unknown): never => {
    file.close();
    throw thrown;
  };

/** A source that is closed behind its use. */
function* until(source: GuestSource): Generator<GuestSource> {
  try {
    yield source;
  } finally {
    source.close();
  }
}

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

/** A file that was opened and recognised. */
interface Begun {
  readonly of: FormatFile;
  readonly format: ImageFormat;
}

async function begin(request: OpenSourceRequest): Promise<Begun> {
  const { path, folder, clock, known, told } = request;
  const file = await openImageFile(request);
  try {
    const first = firstBytes(file);
    const of = {
      file,
      first,
      path,
      timeMs: Math.floor(request.timeMs ?? file.modifiedAtMs ?? clock()),
      isDifference: request.isDifference === true,
      ...(folder === undefined ? {} : { folder }),
      ...(known === undefined ? {} : { known }),
      ...(told === undefined ? {} : { told }),
    };
    return { of, format: IMAGE_FORMATS[formatOf(request, file, first)] };
  } catch (error) {
    file.close();
    throw error;
  }
}

/** What a capture is known by where its file is a regular one. */
const fileOf = (facts: ImageFacts | null): Partial<GuestCapture> =>
  facts === null ? {} : { file: facts };

/** A moment, with what is known of it. */
async function openMoment(moment: Moment, { timeMs }: OpenSourceRequest): Promise<GuestSource> {
  const time = timeMs === null ? {} : { timeMs };
  const { name, facts } = moment;
  return withCaptured(await moment.open(), { name, ...time, ...fileOf(facts) });
}

/** A source whose captures say more. */
function withCaptured(source: GuestSource, more: Partial<GuestCapture>): GuestSource {
  const capture = (): TaskEither<LedgerError, GuestCapture> =>
    pipe(
      source.capture(),
      taskEither.map((captured) => ({ ...captured, ...more })),
    );
  return { warnings: source.warnings, capture, close: () => source.close() };
}

function bytesAt({ fd }: ImageFile, offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  return bytes.subarray(0, readSync(fd, bytes, 0, length, offset));
}

/** The format of a file by its content; memory beside which VMware's state lies is VMware's. */
function recognised({ path, told, isDifference }: OpenSourceRequest, ends: FileEnds): string {
  const isSaid = told !== undefined || isDifference === true;
  return !isSaid && vmwareStateOf(path) !== null ? 'vmware' : detectFormat(ends, IMAGE_FORMATS);
}

function formatOf(request: OpenSourceRequest, file: ImageFile, first: Uint8Array): ImageFormatName {
  const { label, sizeBytes } = file;
  const endAt = Math.max(0, sizeBytes - DETECT_TAIL_BYTES);
  const ends = (): FileEnds => ({ first, last: bytesAt(file, endAt, DETECT_TAIL_BYTES) });
  const found = request.format ?? recognised(request, ends());
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
