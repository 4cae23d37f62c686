// What a format of memory in a file is, and which one a file has, by its content. What bears no sign
// of any is a raw image of memory.

import type { GuestSource, ImageFacts } from '../../../domain/ports/guests.ts';
import type { MemoryBlock } from '../../../domain/values/memory-map.ts';
import type { ToldLayout } from '../../../domain/values/raw-layout.ts';
import { latin1 } from '../qemu/byte-window.ts';
import { formatOfStructure } from './file-structures.ts';
import { FOREIGN_SIGNS } from './foreign-formats.ts';
import type { ImageFile } from './image-file.ts';

/** A file of some format, and what its capture is to say. */
export interface FormatFile {
  /** Closed with the source that is opened of it. */
  readonly file: ImageFile;
  /** Its first bytes. */
  readonly first: Uint8Array;
  readonly path: string;
  readonly timeMs: number;
  /** Whether its holes are pages that did not change since the capture before. */
  readonly isDifference?: boolean;
  /** For temporary files; absent: the system's. */
  readonly folder?: string;
  /** How it lies, of a raw file; absent: nothing is said. */
  readonly told?: ToldLayout;
  /** The blocks of memory that its VM has, which keep their order; absent: none. */
  readonly known?: readonly MemoryBlock[];
}

/** A moment of a guest in a file that has several. */
export interface Moment {
  /** What it is called there. */
  readonly name: string;
  /** What it is known by; null: the file is no regular one. */
  readonly facts: ImageFacts | null;
  /** Opens it; the file stays open. */
  open(): Promise<GuestSource>;
}

interface AnyFormat {
  /** What files of it begin with. */
  readonly magics: readonly string[];
}

/** A format whose files have one moment; the file is closed with its source. */
interface FormatOfOne extends AnyFormat {
  readonly open: (file: FormatFile) => Promise<GuestSource>;
}

/** A format whose files have several moments, oldest first: one at least. */
interface FormatOfSeveral extends AnyFormat {
  readonly moments: (file: FormatFile) => Promise<readonly Moment[]>;
}

export type ImageFormat = FormatOfOne | FormatOfSeveral;

/** Bytes of a file's start that are enough to recognise it: btrfs has its magic behind 64 KiB. */
export const DETECT_BYTES = 68 * 1024;
/** Bytes of a file's end that some disk images have their magic in. */
export const DETECT_TAIL_BYTES = 512;
const TAIL_MAGICS = ['conectix', 'koly\0\0\0\x04'];

/** What a file is recognised by. */
export interface FileEnds {
  readonly first: Uint8Array;
  /** Its last bytes; absent or short where it is no longer than its start. */
  readonly last?: Uint8Array;
}

const holds = (bytes: Uint8Array, text: string, at = 0): boolean =>
  bytes.length >= at + text.length && latin1(bytes.subarray(at, at + text.length)) === text;

const isSigned = (bytes: Uint8Array, sign: string | readonly [number, string]): boolean =>
  typeof sign === 'string' ? holds(bytes, sign) : holds(bytes, sign[1], sign[0]);

/** The format of a file with these ends: one that is read, or a foreign one. */
export function detectFormat(
  { first, last }: FileEnds,
  formats: Readonly<Record<string, Pick<ImageFormat, 'magics'>>>,
): string {
  const found = Object.entries(formats).find(([, { magics }]) =>
    magics.some((magic) => holds(first, magic)),
  )?.[0];
  if (found !== undefined) return found;
  const signed = FOREIGN_SIGNS.find(([, ...signs]) => signs.some((sign) => isSigned(first, sign)));
  if (signed !== undefined) return signed[0];
  if (last !== undefined && TAIL_MAGICS.some((magic) => holds(last, magic))) return 'disk';
  return formatOfStructure(first) ?? 'raw';
}
