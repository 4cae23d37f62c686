// Finds what stands in one file of the log from a position on, in large reads, and verifies each piece
// before it is handed out: header checksum, then bounds, then hash. What is nothing of the log is
// stepped over to the next piece that verifies, and reported as a stretch that is unreadable; whether
// a piece behind such a stretch is believed is for the fold to say (log-fold.ts).

import { assert } from '../../../domain/values/assert.ts';
import type { EventsWanted, Frame } from './frame.ts';
import type { Announced, FrameFormat, Window } from './frame-format.ts';
import {
  PassingReads,
  READ_BYTES_MAX,
  WINDOW_SKEW_BYTES,
  type PositionedBytes,
} from './passing-reads.ts';

/** Frames that verified together: in format 1 one, in format 2 those of an append. */
export interface Verified {
  readonly _tag: 'frames';
  readonly frames: readonly Frame[];
}

/** Bytes that are nothing of the log, before something that is. */
export interface Unreadable {
  readonly _tag: 'unreadable';
  readonly position: number;
  readonly end: number;
  /** Whether a segment begins at its end, so that what follows stands where it should. */
  readonly endsSegment: boolean;
}

/** The end of the segment. */
export interface End {
  readonly _tag: 'end';
  readonly position: number;
  readonly end: number;
  /** Whether it says where it stands, and is right. */
  readonly isPlaced: boolean;
}

/** Something that only a later release can read. */
export interface Later {
  readonly _tag: 'later';
  readonly position: number;
  readonly end: number;
  readonly format: number;
}

export type FramePiece = Verified | Unreadable | End | Later;

export interface ScanRange extends EventsWanted {
  readonly from: number;
  readonly format: FrameFormat;
}

/**
 * Of pieces that are not what their headers announce, so many bytes are hashed, and so many for each
 * byte that is searched: else a file of headers could make a search of hours.
 */
const VAIN_BYTES_MAX = 64 * 1024 * 1024;
const VAIN_PER_BYTE = 16;

/** The first read is small, for who wants one event; each further one is twice as large. */
const READ_BYTES_MIN = 16 * 1024;

/** Reads pieces one after another. Not for concurrent use. */
export class FrameScanner {
  readonly #file: PositionedBytes;
  readonly #range: ScanRange;
  #bytes: Buffer = Buffer.alloc(0);
  /** The same bytes: a Buffer's own slices would be views, and Buffers. */
  #plain: Uint8Array = new Uint8Array(0);
  #view: DataView = new DataView(this.#plain.buffer);
  /** Position of the window's first byte, and how many of its bytes are read. */
  #windowStart: number;
  #windowBytes = 0;
  #atEnd = false;
  /** The next piece starts here. */
  #position: number;
  /** From here on the next piece is searched, when there is none at #position. */
  #searched: number;
  #readBytes = READ_BYTES_MIN;
  #vainBytes = 0;
  /** Null: what was handed out is its receiver's. */
  readonly #passing: PassingReads | null;

  constructor(file: PositionedBytes, range: ScanRange) {
    this.#file = file;
    this.#range = range;
    this.#passing = range.arePassing === true ? new PassingReads(file) : null;
    this.#position = range.from;
    this.#searched = range.from;
    this.#windowStart = range.from;
  }

  /** The next piece begins here, or somewhere behind. */
  get position(): number {
    return this.#position;
  }

  /** The file has been looked at up to here. */
  get readTo(): number {
    return this.#windowStart + this.#windowBytes;
  }

  /** The next piece, or null: nothing further in the file now (a later call looks again). */
  async next(): Promise<FramePiece | null> {
    for (;;) {
      const piece = this.take();
      if (piece !== null) return piece;
      if (!(await this.fill())) return null;
    }
  }

  /** The next piece if what was read holds one; null: `fill` first. */
  take(): FramePiece | null {
    const found = this.#find();
    if (found === null) return null;
    const [position, end] = [this.#position, this.#searched];
    if (end > position) {
      this.#position = end;
      return { _tag: 'unreadable', position, end, endsSegment: false };
    }
    this.#position += found.lengthBytes;
    this.#searched = this.#position;
    return found.piece;
  }

  /** Reads on; false where the file has no more for now. */
  async fill(): Promise<boolean> {
    if (this.#atEnd) {
      // What is unread is looked at anew next time: a frame may have become whole by then.
      this.#atEnd = false;
      this.#searched = this.#position;
      return false;
    }
    const start = this.#searched - this.#windowStart;
    const isInside = start >= 0 && start < this.#windowBytes;
    const unread = isInside
      ? this.#bytes.subarray(start, this.#windowBytes)
      : this.#bytes.subarray(0, 0);
    assert(
      unread.length < this.#range.format.lengthBytesMax,
      'a scanner keeps less than a piece when it reads',
    );
    if (this.#passing === null) await this.#fillOwn(unread);
    else await this.#fillPassing(this.#passing, unread);
    this.#readBytes = Math.min(READ_BYTES_MAX, this.#readBytes * 2);
    return true;
  }

  async #fillOwn(unread: Buffer): Promise<void> {
    this.#keep(unread);
    this.#windowStart = this.#searched;
    const target = this.#bytes.subarray(this.#windowBytes, this.#windowBytes + this.#readBytes);
    const got = await this.#file.read(target, this.#windowStart + this.#windowBytes);
    this.#windowBytes += got;
    this.#atEnd = got < target.length;
  }

  async #fillPassing(passing: PassingReads, unread: Buffer): Promise<void> {
    const position = this.#searched + unread.length;
    const read = await passing.read(unread, { position, lengthBytes: this.#readBytes });
    this.#look(read.bytes);
    this.#windowStart = this.#searched;
    this.#windowBytes = read.bytes.length;
    this.#atEnd = read.isAtEnd;
  }

  /** Nothing that is passing is looked at any more. */
  release(): void {
    this.#passing?.release();
  }

  #look(bytes: Buffer): void {
    this.#bytes = bytes;
    this.#plain = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  /** Moves what is unread to the window's start, and makes room for the next read behind it. */
  #keep(unread: Buffer): void {
    const { lengthBytesMax } = this.#range.format;
    this.#windowBytes = unread.length;
    const neededBytes = unread.length + this.#readBytes;
    if (neededBytes <= this.#bytes.length) {
      this.#bytes.set(unread);
      return;
    }
    const isFull = this.#readBytes === READ_BYTES_MAX;
    const sizeBytes = isFull ? READ_BYTES_MAX + lengthBytesMax : neededBytes;
    const skewed = Buffer.allocUnsafeSlow(WINDOW_SKEW_BYTES + sizeBytes);
    this.#look(skewed.subarray(WINDOW_SKEW_BYTES));
    this.#bytes.set(unread);
  }

  /** The next piece that verifies, at #searched; null: not in the window. */
  #find(): { readonly lengthBytes: number; readonly piece: FramePiece } | null {
    const { format } = this.#range;
    for (;;) {
      const offset = this.#searched - this.#windowStart;
      const available = this.#windowBytes - offset;
      if (offset < 0 || available < format.headerBytes) return null;
      const window = {
        bytes: this.#plain,
        view: this.#view,
        offset,
        position: this.#searched,
      };
      const announced = format.announced(window);
      if (announced !== null) {
        const { lengthBytes } = announced;
        if (available >= lengthBytes) {
          const piece = this.#verified(window, announced);
          if (piece !== null) return { lengthBytes, piece };
        } else if (!this.#atEnd) return null;
      }
      // Either it is nothing, or cut off by the file's end: something else may begin inside it.
      this.#searchOn(offset + 1);
    }
  }

  #verified(window: Window, announced: Announced): FramePiece | null {
    const { format, from } = this.#range;
    const { position } = window;
    const { lengthBytes } = announced;
    const end = position + lengthBytes;
    if (announced._tag === 'later') {
      return { _tag: 'later', position, end, format: announced.format };
    }
    if (announced._tag === 'end' && announced.seen === null) {
      return { _tag: 'end', position, end, isPlaced: false };
    }
    const isSearched = position > this.#position;
    const allowed = VAIN_BYTES_MAX + VAIN_PER_BYTE * (position - from);
    if (isSearched && this.#vainBytes > allowed) return null;
    if (format.isSound(window, lengthBytes)) {
      if (announced._tag === 'end')
        return { _tag: 'end', position, end, isPlaced: announced.seen === position };
      const frames = format.frames(window, announced, this.#range);
      if (frames !== null) return { _tag: 'frames', frames };
    }
    this.#vainBytes += lengthBytes;
    return null;
  }

  /** Moves #searched to the next mark in the window, or to where one may begin at its end. */
  #searchOn(offset: number): void {
    const { mark } = this.#range.format;
    const readable = this.#bytes.subarray(0, this.#windowBytes);
    const found = readable.indexOf(mark, offset);
    const next = found >= 0 ? found : Math.max(offset, this.#windowBytes - mark.length + 1);
    this.#searched = this.#windowStart + next;
  }
}
