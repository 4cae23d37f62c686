// A window over a stream of bytes that is pulled from a file or a socket. What is in the window is
// parsed synchronously, in place; only the lack of bytes waits.

import { grown } from '../../../domain/values/grown.ts';
import { read } from 'node:fs';
import { assert } from '../../../domain/values/assert.ts';
import { LedgerError } from '../../../domain/values/ledger-error.ts';

/** Where bytes come from: fills some of `target`, 0 at the end. */
export type ByteSource = (target: Uint8Array) => Promise<number>;

/** Bytes in the window. Any one `need` is smaller. */
const WINDOW_BYTES = 1024 * 1024;
/** Most bytes one read of a file brings. */
const READ_BYTES = 1024 * 1024;
/** Bytes the list for the rest of a stream begins with. */
const REST_BYTES = 256 * 1024;

/** The bytes of an open file from a place on; the file's own position is not moved. */
export function sourceOfFile(file: {
  readonly fd: number;
  readonly offsetBytes: number;
}): ByteSource {
  let offsetBytes = file.offsetBytes;
  return (target) =>
    new Promise((resolve, reject) => {
      const length = Math.min(target.length, READ_BYTES);
      read(file.fd, target, 0, length, offsetBytes, (error, count) => {
        if (error !== null) {
          reject(error);
          return;
        }
        offsetBytes += count;
        resolve(count);
      });
    });
}

/** The bytes of anything that yields chunks: a socket, a pipe, a test. */
export function sourceOfChunks(chunks: AsyncIterable<Uint8Array>): ByteSource {
  const iterator = chunks[Symbol.asyncIterator]();
  let chunk: Uint8Array = new Uint8Array(0);
  return async (target) => {
    while (chunk.length === 0) {
      const next = await iterator.next();
      if (next.done === true) return 0;
      chunk = next.value;
    }
    const count = Math.min(chunk.length, target.length);
    target.set(chunk.subarray(0, count));
    chunk = chunk.subarray(count);
    return count;
  };
}

/** The unread bytes are `bytes[start]` to `bytes[end - 1]`; `start` is moved by whoever parses. */
export class ByteWindow {
  readonly bytes: Uint8Array<ArrayBuffer> = new Uint8Array(WINDOW_BYTES);
  readonly view = new DataView(this.bytes.buffer);
  /** What a message calls the stream. */
  readonly label: string;
  start = 0;
  end = 0;
  #source: ByteSource;
  /** Place in the stream of `bytes[0]`. */
  #baseBytes: number;

  constructor(options: {
    readonly source: ByteSource;
    readonly label: string;
    /** Where the first byte lies, for messages. Absent: 0. */
    readonly offsetBytes?: number;
  }) {
    this.#source = options.source;
    this.label = options.label;
    this.#baseBytes = options.offsetBytes ?? 0;
  }

  /** Place in the stream of the next unread byte. */
  get offsetBytes(): number {
    return this.#baseBytes + this.start;
  }

  /** Goes on with other bytes, which lie from a place on; what is in the window is left out. */
  continueAt(offsetBytes: number, source: ByteSource): void {
    this.#source = source;
    this.#baseBytes = offsetBytes;
    this.start = 0;
    this.end = 0;
  }

  /** Waits for some more bytes; false at the end. */
  async more(): Promise<boolean> {
    assert(this.start <= this.end, 'a parser stays inside its window');
    if (this.start > 0) {
      this.bytes.copyWithin(0, this.start, this.end);
      this.#baseBytes += this.start;
      this.end -= this.start;
      this.start = 0;
    }
    assert(this.end < WINDOW_BYTES, 'the window has room');
    const count = await this.#source(this.bytes.subarray(this.end));
    this.end += count;
    return count > 0;
  }

  /** Waits until `count` bytes are in the window, or throws STREAM_TRUNCATED. */
  async need(count: number, what: string): Promise<void> {
    assert(count <= WINDOW_BYTES, 'what is needed fits the window');
    while (this.end - this.start < count) {
      if (!(await this.more())) throw this.truncated(what);
    }
  }

  truncated(what: string): LedgerError {
    const offset = this.#baseBytes + this.end;
    return new LedgerError(
      'STREAM_TRUNCATED',
      `${this.label} ends at byte ${offset} inside ${what}: the rest is missing; ` +
        'capture or copy it again',
      { label: this.label, offset },
    );
  }

  async u8(what: string): Promise<number> {
    await this.need(1, what);
    return this.bytes[this.start++]!;
  }

  async u16(what: string): Promise<number> {
    await this.need(2, what);
    this.start += 2;
    return this.view.getUint16(this.start - 2);
  }

  async u32(what: string): Promise<number> {
    await this.need(4, what);
    this.start += 4;
    return this.view.getUint32(this.start - 4);
  }

  /** As a number: above 2^53 it is not exact, and every caller's bound is lower. */
  async u64(what: string): Promise<number> {
    await this.need(8, what);
    this.start += 8;
    return this.view.getUint32(this.start - 8) * 2 ** 32 + this.view.getUint32(this.start - 4);
  }

  /** A name with its length in front, one byte a letter. */
  async name(what: string): Promise<string> {
    const length = await this.u8(what);
    return this.text(length, what);
  }

  async text(length: number, what: string): Promise<string> {
    await this.need(length, what);
    this.start += length;
    return latin1(this.bytes.subarray(this.start - length, this.start));
  }

  /** Passes over bytes. */
  async pass(length: number, what: string): Promise<void> {
    for (let left = length; left > 0;) {
      const part = Math.min(left, READ_BYTES / 2);
      await this.need(part, what);
      this.start += part;
      left -= part;
    }
  }

  /** A copy of what comes, of about `bytesMax` bytes at most, and whether that is all. */
  async rest(bytesMax: number): Promise<{ readonly bytes: Uint8Array; readonly isAll: boolean }> {
    let gathered = new Uint8Array(REST_BYTES);
    let length = 0;
    do {
      const part = this.bytes.subarray(this.start, this.end);
      gathered = grown(gathered, length + part.length);
      gathered.set(part, length);
      length += part.length;
      this.start = this.end;
      if (length > bytesMax) return { bytes: gathered.subarray(0, length), isAll: false };
    } while (await this.more());
    return { bytes: gathered.slice(0, length), isAll: true };
  }
}

/** Bytes as text, one byte a letter, so that equal text is equal bytes. */
export const latin1 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
