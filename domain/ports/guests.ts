// The ports to guests and to where memory lies. What the domain is given of a file of memory is a
// thing to hand on: only adapters know how it was opened.

import type { TaskEither } from 'fp-ts/lib/TaskEither.js';
import * as taskEither from 'fp-ts/lib/TaskEither.js';
import type { KernelStretch } from '../guest/kernel-view.ts';
import type { Attachment } from '../values/attachment.ts';
import type { CaptureMode } from '../values/capture-mode.ts';
import type { DeviceState } from '../values/device-state.ts';
import type { LedgerError } from '../values/ledger-error.ts';
import type { MemoryMap } from '../values/memory-map.ts';
import { PAGE_BYTES } from '../values/page.ts';

/** Memory that adapters can read and write by page; opaque here. */
export interface MemoryFile {
  /** What adapters know it by. */
  readonly handle: unknown;
}

/** Shared memory as a file of its size. */
export const sharedMemory = (bytes: SharedArrayBuffer): MemoryFile => ({ handle: bytes });

/** Where the pieces of a memory lie that is in its file in several. Shared, so that threads have it. */
export interface ImagePieces {
  /** The first page of each piece: 0, then ascending. A piece goes on up to the next one. */
  readonly pages: Float64Array;
  /** Where its first page begins in the file; of one in `loose`, minus one minus the byte there. */
  readonly offsets: Float64Array;
  /** Pages that the file does not hold as a whole. */
  readonly loose: Uint8Array;
}

/** A guest's memory at hand: page p lies at offsetBytes + p * PAGE_BYTES of the file. */
export interface Image {
  readonly file: MemoryFile;
  readonly offsetBytes: number;
  readonly pageCount: number;
  /** Where its pages lie instead. Absent: it is in one piece. */
  readonly pieces?: ImagePieces;
  /** Shared; where [p] is 1, page p is zero whatever the file holds there. Null: believe the file. */
  readonly zeros: Uint8Array | null;
  /** What a message calls it. */
  readonly label: string;
}

/** What a file is known by, so that it is not recorded twice. */
export interface ImageFacts {
  /** Its name, without the folder. */
  readonly name: string;
  readonly bytes: number;
  /** When it was last written: nanoseconds since 1970, as text. */
  readonly timeNs: string;
}

/** Pages that a guest has as they are at a point of another VM of its sharing group. */
export interface PagesAsAt {
  readonly vm: string;
  readonly capture: number;
  /** Where [p] is 1, page p holds a content, or zeros, that are known there; it was not read. */
  readonly pages: Uint8Array;
}

/** One consistent memory of a guest, and what is known of the moment: all that a capture is made of. */
export interface GuestCapture {
  readonly image: Image;
  readonly memoryMap: MemoryMap;
  /** True where somebody said where the memory lies: the guest, or who gave its file. */
  readonly areRangesTold?: boolean;
  /** Null where the source has none. */
  readonly device: DeviceState | null;
  /** The guest's command line; null where the source does not know it. */
  readonly argv: readonly string[] | null;
  readonly timeMs: number;
  /** How long the guest stood still for it; null: not known, or no guest. */
  readonly pauseMs: number | null;
  readonly mode: CaptureMode;
  /** What it was taken from, for people. */
  readonly source: string;
  /** The file that it is of. Absent: of none that has a name. */
  readonly file?: ImageFacts;
  /** What the moment was called where it was kept. Absent: nothing. */
  readonly name?: string;
  /** What a person says of it. Absent: nothing. */
  readonly note?: string;
  /** Files to keep beside it. Absent: none. */
  readonly attachments?: readonly Attachment[];
  /** True where zeros of the image may be pages that were left out of it. Absent: they are zeros. */
  readonly mayLackPages?: boolean;
  /** Where [p] is 1, page p is as in the capture before, and zero in the image. Absent: none is. */
  readonly asBefore?: Uint8Array;
  /** Pages as at another VM's point, and zero in the image: what a clone never wrote. Absent: none is. */
  readonly asAt?: PagesAsAt;
  /** Where [p] is 1, the source does not tell what page p held; zero in the image. Absent: it tells of all. */
  readonly untold?: Uint8Array;
  /** Asked once all pages were read: whether they may have changed meanwhile. Absent: they cannot. */
  readonly mayHaveChanged?: () => Promise<boolean>;
}

/** Consecutive pages of an image, and where they lie. */
export interface ImageStretch {
  readonly pages: number;
  /** In the file; below 0: in the pages that the file does not hold as a whole, as a piece has it. */
  readonly offsetBytes: number;
}

/** Where pages of an image lie from one on: as many as lie there in a row, at most `pagesMax`. */
export function stretchOf(image: Image, page: number, pagesMax: number): ImageStretch {
  const { pieces } = image;
  if (pieces === undefined)
    return { pages: pagesMax, offsetBytes: image.offsetBytes + page * PAGE_BYTES };
  let [piece, end] = [0, pieces.pages.length];
  while (end - piece > 1) {
    const middle = (piece + end) >>> 1;
    if (pieces.pages[middle]! <= page) piece = middle;
    else end = middle;
  }
  const next = pieces.pages[piece + 1] ?? image.pageCount;
  const [offset, within] = [pieces.offsets[piece]!, (page - pieces.pages[piece]!) * PAGE_BYTES];
  return {
    pages: Math.min(pagesMax, next - page),
    offsetBytes: offset < 0 ? offset - within : offset + within,
  };
}

/** The bytes at a place of an image, where they are of pages that its file does not hold as a whole. */
export const looseOf = (
  { pieces }: Pick<Image, 'pieces'>,
  offsetBytes: number,
  lengthBytes: number,
): Uint8Array | null =>
  offsetBytes < 0 ? pieces!.loose.subarray(-1 - offsetBytes, lengthBytes - 1 - offsetBytes) : null;

/** Something that a guest's memory is taken from: an image, a stream, a live guest. */
export interface GuestSource {
  /** What a person should know before a capture is taken. */
  readonly warnings: readonly string[];
  /** The guest's command line, as it is recorded. Null, or absent: the source does not know it. */
  readonly argv?: readonly string[] | null;
  /**
   * The guest's memory as it is now, or as it was kept. Valid until the next capture or `close`. A
   * source that is not alive gives the same capture again.
   */
  capture(): TaskEither<LedgerError, GuestCapture>;
  /** Whether a live guest has ended by itself, or cannot be reached any more; null, or absent: neither. */
  readonly gone?: () => 'ended' | 'lost' | null;
  /** How many pages a live guest has sent, all in all: it grows while a capture is taken. */
  readonly arrived?: () => number;
  /** Gives back the room that the last capture takes, which is of no use any more. Absent: nothing does. */
  readonly release?: () => void;
  close(): void;
}

/** A source that is not alive. */
export const keptSource = (
  captured: GuestCapture,
  close: () => void,
  warnings: readonly string[] = [],
): GuestSource => ({
  warnings,
  capture: () => taskEither.right(captured),
  close,
});

/** Consecutive pages. */
export interface PageRun {
  readonly firstPage: number;
  /** Whole pages. Valid until the next run is asked for. */
  readonly pages: Uint8Array;
}

/** What a guest's kernel says of itself, for those who read its memory as the kernel sees it. */
export interface GuestKernel {
  readonly release: string;
  /** What it keeps for whoever reads its memory after a crash: text, as it lies there. */
  readonly vmcoreinfo: Uint8Array;
  /** Its image, from its code on. */
  readonly image: KernelStretch;
  /** The virtual address of guest-physical address 0; null: it is not known. */
  readonly directMap: bigint | null;
  /** The number of the process that runs on each CPU, 0: none; null: it is not known. */
  readonly running: readonly (number | null)[];
}

/** A guest as it is restored, but for its pages. */
export interface RestoredGuest {
  readonly memoryMap: MemoryMap;
  /** Null where it has none, or where the target takes none. */
  readonly device: DeviceState | null;
  /** Absent: nothing is known of one. */
  readonly kernel?: GuestKernel;
}

/** Where a target's memory is filled in. */
export interface FilledMemory {
  readonly file: MemoryFile;
  /** Where the first page lies in it. */
  readonly offsetBytes: number;
}

interface AnyTarget {
  /**
   * The whole guest with its device state; the pages of its main RAM alone; or all RAM as one block that
   * lies at the addresses of its map, with the device state where there is one.
   */
  readonly takes: 'guest' | 'main RAM' | 'RAM at addresses';
  /** Everything is there. What never hears this was not restored, and must not be taken for whole. */
  done(): Promise<void>;
}

/** A target whose memory is filled in place: in any order, on the engine's threads. */
export interface FilledTarget extends AnyTarget {
  readonly _tag: 'filled';
  /** Makes memory of zeros for the guest. */
  begin(guest: RestoredGuest): Promise<FilledMemory>;
}

/** A target that takes pages one after the other: a pipe, a migration stream. */
export interface RunTarget extends AnyTarget {
  readonly _tag: 'runs';
  begin(guest: RestoredGuest): Promise<void>;
  /** Takes pages; runs ascend, and a page in none of them is zeros. What is written was verified. */
  write(run: PageRun): Promise<void>;
}

/** Something that a guest is restored to: a file, a pipe, a QEMU. What it throws is a LedgerError. */
export type GuestTarget = FilledTarget | RunTarget;
