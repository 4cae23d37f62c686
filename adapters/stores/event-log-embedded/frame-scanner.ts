// Finds the frames of a log file from a position on, in large reads, and verifies each before it is
// handed out: header checksum, then bounds, then hash. What is no frame is stepped over to the next
// frame that verifies, and reported as a stretch that is unreadable.

import { assert } from '../../../domain/values/assert.ts';
import type { LogFile } from '../../files/guarded-file.ts';
import { FRAME_MAGIC, FRAME_PARTS, HASH_BYTES, HEADER_BYTES, ID_BYTES } from './layout.ts';
import { FRAME_BYTES_MAX, hasSoundHash, readHeader, type FrameHeader } from './layout.ts';

/** What an event says beyond its place in its stream. */
export interface FrameEvent {
  readonly id: Uint8Array;
  readonly type: string;
  readonly data: Uint8Array;
}

/** A frame that verified. Its arrays are its own. */
export interface Frame extends FrameHeader {
  readonly _tag: 'frame';
  readonly position: number;
  readonly stream: string;
  readonly previous: Uint8Array;
  readonly hash: Uint8Array;
  /** Null where the scanner was told not to copy events. */
  readonly event: FrameEvent | null;
}

/** Bytes that are no frame, between two frames or before the first. */
export interface Unreadable {
  readonly _tag: 'unreadable';
  readonly position: number;
  readonly lengthBytes: number;
}

export type Piece = Frame | Unreadable;

/** The first read is small, for who wants one event; each further one is twice as large. */
const READ_BYTES_MIN = 64 * 1024;
const READ_BYTES_MAX = 1024 * 1024;
const WINDOW_BYTES = READ_BYTES_MAX + FRAME_BYTES_MAX;
/** Reads into memory that starts at a page's start are several times slower. */
const WINDOW_SKEW_BYTES = 48;

/** Reads frames one after another. Not for concurrent use. */
export class FrameScanner {
  readonly #file: Pick<LogFile, 'read'>;
  /** Frames before this position are handed out without their events. */
  readonly #eventsFrom: number;
  #bytes: Buffer = Buffer.alloc(0);
  /** The same bytes: a Buffer's own slices would be views, and Buffers. */
  #plain = new Uint8Array(0);
  #view = new DataView(this.#plain.buffer);
  /** File position of the window's first byte, and how many of its bytes are read. */
  #windowStart: number;
  #windowBytes = 0;
  #atEnd = false;
  /** The next piece starts here. */
  #position: number;
  /** From here on the next frame is searched, when there is none at #position. */
  #searched: number;
  #readBytes = READ_BYTES_MIN;

  constructor(
    file: Pick<LogFile, 'read'>,
    range: { readonly from: number; readonly eventsFrom: number },
  ) {
    this.#file = file;
    this.#eventsFrom = range.eventsFrom;
    this.#position = range.from;
    this.#searched = range.from;
    this.#windowStart = range.from;
  }

  /** The file has been looked at up to here. */
  get readTo(): number {
    return this.#windowStart + this.#windowBytes;
  }

  /** The next piece, or null: nothing further in the file now (a later call looks again). */
  async next(): Promise<Piece | null> {
    for (;;) {
      const piece = this.take();
      if (piece !== null) return piece;
      if (!(await this.fill())) return null;
    }
  }

  /** The next piece if what was read holds one; null: `fill` first. */
  take(): Piece | null {
    const found = this.#find();
    if (found === null) return null;
    if (this.#searched > this.#position) {
      const position = this.#position;
      this.#position = this.#searched;
      return { _tag: 'unreadable', position, lengthBytes: this.#searched - position };
    }
    const frame = this.#frameAt(this.#position, found);
    this.#position += found.lengthBytes;
    this.#searched = this.#position;
    return frame;
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
    this.#keep(
      isInside ? this.#bytes.subarray(start, this.#windowBytes) : this.#bytes.subarray(0, 0),
    );
    this.#windowStart = this.#searched;
    const target = this.#bytes.subarray(this.#windowBytes, this.#windowBytes + this.#readBytes);
    const got = await this.#file.read(target, this.#windowStart + this.#windowBytes);
    this.#windowBytes += got;
    this.#atEnd = got < target.length;
    this.#readBytes = Math.min(READ_BYTES_MAX, this.#readBytes * 2);
    return true;
  }

  /** Moves what is unread to the window's start, and makes room for the next read behind it. */
  #keep(unread: Buffer): void {
    assert(unread.length < FRAME_BYTES_MAX, 'a scanner keeps less than a frame when it reads');
    this.#windowBytes = unread.length;
    const neededBytes = unread.length + this.#readBytes;
    if (neededBytes <= this.#bytes.length) {
      this.#bytes.set(unread);
      return;
    }
    const sizeBytes = this.#readBytes === READ_BYTES_MAX ? WINDOW_BYTES : neededBytes;
    const skewed = Buffer.allocUnsafeSlow(WINDOW_SKEW_BYTES + sizeBytes);
    this.#bytes = skewed.subarray(WINDOW_SKEW_BYTES);
    this.#bytes.set(unread);
    this.#plain = new Uint8Array(skewed.buffer, WINDOW_SKEW_BYTES, sizeBytes);
    this.#view = new DataView(skewed.buffer, WINDOW_SKEW_BYTES, sizeBytes);
  }

  /** The header of the next frame that verifies, at #searched; null: not in the window. */
  #find(): FrameHeader | null {
    for (;;) {
      const offset = this.#searched - this.#windowStart;
      const available = this.#windowBytes - offset;
      if (offset < 0 || available < HEADER_BYTES) return null;
      const header = readHeader(this.#view, offset);
      if (header !== null) {
        const { lengthBytes } = header;
        if (available >= lengthBytes) {
          if (hasSoundHash(this.#bytes, { offset, lengthBytes })) return header;
        } else if (!this.#atEnd) return null;
      }
      // Either it is no frame, or one cut off by the file's end: another may begin inside it.
      this.#searchOn(offset + 1);
    }
  }

  /** Moves #searched to the next magic in the window, or to where one may begin at its end. */
  #searchOn(offset: number): void {
    const readable = this.#bytes.subarray(0, this.#windowBytes);
    const found = readable.indexOf(FRAME_MAGIC, offset);
    const next = found >= 0 ? found : Math.max(offset, this.#windowBytes - FRAME_MAGIC.length + 1);
    this.#searched = this.#windowStart + next;
  }

  #frameAt(position: number, header: FrameHeader): Frame {
    const start = position - this.#windowStart;
    const names = start + FRAME_PARTS.names;
    const stream = this.#bytes.toString('utf8', names, names + header.streamBytes);
    const hashOffset = start + header.lengthBytes - HASH_BYTES;
    const previousOffset = start + FRAME_PARTS.previous;
    return {
      _tag: 'frame',
      ...header,
      position,
      stream,
      previous: this.#copy(previousOffset, HASH_BYTES),
      hash: this.#copy(hashOffset, HASH_BYTES),
      event: position < this.#eventsFrom ? null : this.#eventAt(start, header),
    };
  }

  #eventAt(start: number, header: FrameHeader): FrameEvent {
    const type = start + FRAME_PARTS.names + header.streamBytes;
    const data = type + header.typeBytes;
    return {
      id: this.#copy(start + FRAME_PARTS.id, ID_BYTES),
      type: this.#bytes.toString('utf8', type, data),
      data: this.#copy(data, header.dataBytes),
    };
  }

  #copy(offset: number, lengthBytes: number): Uint8Array {
    return this.#plain.slice(offset, offset + lengthBytes);
  }
}
