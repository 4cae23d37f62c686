// A small writer and reader of plain state: what projection state files hold. Little-endian; a column
// is its byte length and its bytes. The reader trusts nothing: sizes are checked before use.

import type * as t from 'io-ts';

import { grown } from '../../domain/values/grown.ts';

/** Equal words from which on a run is worth its bytes. */
const RUN_WORDS = 4;

/** Whether so many words from one on are equal, or all that are left. */
function isRun(words: Uint32Array, at: number): boolean {
  for (let i = at + 1; i < at + RUN_WORDS && i < words.length; i += 1)
    if (words[i] !== words[at]) return false;
  return true;
}

/** Appends values to a growing buffer. */
export class StateWriter {
  #bytes = new Uint8Array(1024);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  #room(more: number): void {
    if (this.#length + more <= this.#bytes.length) return;
    this.#bytes = grown(this.#bytes, this.#length + more);
    this.#view = new DataView(this.#bytes.buffer);
  }

  u32(value: number): this {
    this.#room(4);
    this.#view.setUint32(this.#length, value, true);
    this.#length += 4;
    return this;
  }

  u64(value: bigint): this {
    this.#room(8);
    this.#view.setBigUint64(this.#length, value, true);
    this.#length += 8;
    return this;
  }

  column(column: Uint8Array | Uint16Array | Uint32Array | BigUint64Array | Float64Array): this {
    const { byteLength } = column;
    this.u32(byteLength);
    this.#room(byteLength);
    this.#bytes.set(new Uint8Array(column.buffer, column.byteOffset, byteLength), this.#length);
    this.#length += byteLength;
    return this;
  }

  /** Bytes without their length. */
  raw(bytes: Uint8Array): this {
    this.#room(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
    return this;
  }

  text(text: string): this {
    return this.column(new TextEncoder().encode(text));
  }

  /** Words of which long runs are equal, in a few bytes a run. */
  runs(words: Uint32Array): this {
    this.u32(words.length);
    for (let at = 0; at < words.length;) {
      const first = words[at]!;
      let same = at + 1;
      while (same < words.length && words[same] === first) same += 1;
      let end = same;
      while (end < words.length && !isRun(words, end)) end += 1;
      const others = words.subarray(same, end);
      this.u32(same - at)
        .u32(first)
        .column(others);
      at = end;
    }
    return this;
  }

  /** What was written so far; valid until more is. */
  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }
}

/** Raised inside the projections when a state file does not fit; its loader then starts anew. */
export class StateUnfit extends Error {
  override readonly name = 'StateUnfit';
}

/** The value of a JSON text of state, checked. StateUnfit where it does not fit. */
export function decodeState<A>(text: string, codec: t.Type<A, unknown>): A {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new StateUnfit('state is no JSON');
  }
  const decoded = codec.decode(json);
  if (decoded._tag === 'Left') throw new StateUnfit('state has another shape');
  return decoded.right;
}

/** Columns of more bytes have memory of their own; others share it, so many bytes at a time. */
const SHARED_COLUMN_BYTES = 2048;
const SHARED_BYTES = 128 * 1024;
/** Where a value of any column may lie. */
const ALIGNED_BYTES = 8;
const NO_BYTES = new Uint8Array(0);
const NO_HALVES = new Uint16Array(0);
const NO_WORDS = new Uint32Array(0);
const NO_DOUBLES = new Float64Array(0);
const DECODER = new TextDecoder();

/** Takes values off a buffer in the order they were written. StateUnfit where it is too short. */
export class StateReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;
  /** Where small columns are copied to: memory of its own for each costs far more than its bytes. */
  #shared = NO_BYTES;
  #used = 0;
  #copied = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  #take(length: number): number {
    const at = this.#at;
    if (length > this.#bytes.length - at) throw new StateUnfit('state ends early');
    this.#at += length;
    return at;
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  u64(): bigint {
    return this.#view.getBigUint64(this.#take(8), true);
  }

  /** Copies so many bytes to where they are aligned, `#copied` of the memory that it gives. */
  #copy(length: number): ArrayBuffer {
    const at = this.#take(length);
    const bytes = this.#bytes.subarray(at, at + length);
    if (length > SHARED_COLUMN_BYTES) {
      this.#copied = 0;
      return bytes.slice().buffer;
    }
    if (this.#used + length > this.#shared.length) {
      this.#shared = new Uint8Array(SHARED_BYTES);
      this.#used = 0;
    }
    this.#copied = this.#used;
    this.#used += Math.ceil(length / ALIGNED_BYTES) * ALIGNED_BYTES;
    this.#shared.set(bytes, this.#copied);
    return this.#shared.buffer;
  }

  /** How many values of so many bytes the column that comes has. */
  #count(bytesEach: number, what: string): number {
    const length = this.u32();
    if (length % bytesEach !== 0) throw new StateUnfit(`a column of ${what} has odd bytes`);
    return length / bytesEach;
  }

  /** A copy, so that it is aligned; small ones lie in memory that they share. */
  column(): Uint8Array {
    const count = this.u32();
    return count === 0 ? NO_BYTES : new Uint8Array(this.#copy(count), this.#copied, count);
  }

  /** Where the next value is. */
  get at(): number {
    return this.#at;
  }

  /** All bytes from a place on that was come past, where they lie. */
  since(at: number): Uint8Array {
    return this.#bytes.subarray(at, this.#at);
  }

  /** Passes over a column, and gives how many values of so many bytes each it has. */
  pass(bytesEach: number): number {
    const count = this.#count(bytesEach, 'values');
    this.#take(count * bytesEach);
    return count;
  }

  /** A column where it lies, without a copy: for whoever reads it with a reader of its own. */
  part(): Uint8Array {
    const length = this.u32();
    const at = this.#take(length);
    return this.#bytes.subarray(at, at + length);
  }

  words(): Uint32Array {
    const count = this.#count(4, 'words');
    return count === 0 ? NO_WORDS : new Uint32Array(this.#copy(4 * count), this.#copied, count);
  }

  /** Words in runs, at most so many. */
  runs(wordsMax: number): Uint32Array<ArrayBuffer> {
    const length = this.u32();
    if (length > wordsMax) throw new StateUnfit('runs are longer than they can be');
    const words = new Uint32Array(length);
    for (let at = 0; at < length;) {
      const [same, word] = [this.u32(), this.u32()];
      const others = this.words();
      if (same === 0 || same + others.length > length - at) throw new StateUnfit('runs are uneven');
      // What is not written to takes no memory.
      if (word !== 0) words.fill(word, at, at + same);
      words.set(others, at + same);
      at += same + others.length;
    }
    return words;
  }

  halves(): Uint16Array {
    const count = this.#count(2, 'halves');
    return count === 0 ? NO_HALVES : new Uint16Array(this.#copy(2 * count), this.#copied, count);
  }

  doubles(): Float64Array {
    const count = this.#count(8, 'doubles');
    return count === 0 ? NO_DOUBLES : new Float64Array(this.#copy(8 * count), this.#copied, count);
  }

  /** So many bytes where they lie. */
  raw(lengthBytes: number): Uint8Array {
    const at = this.#take(lengthBytes);
    return this.#bytes.subarray(at, at + lengthBytes);
  }

  text(): string {
    return DECODER.decode(this.part());
  }
}
