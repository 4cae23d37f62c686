// A small writer and reader of plain state: what projection state files hold. Little-endian; a column
// is its byte length and its bytes. The reader trusts nothing: sizes are checked before use.

import type * as t from 'io-ts';
import type { StateBytes, StatePieces } from '../../domain/ports/derived-files.ts';
import { grown } from '../../domain/values/grown.ts';
import { copyOf, inMemory, partOf, wholeOf } from './kept-bytes.ts';

/** Equal words from which on a run is worth its bytes. */
const RUN_WORDS = 4;

/** Whether so many words from one on are equal, or all that are left. */
function isRun(words: Uint32Array, at: number): boolean {
  for (let i = at + 1; i < at + RUN_WORDS && i < words.length; i += 1)
    if (words[i] !== words[at]) return false;
  return true;
}

/** Bytes of a state that is kept are written so many at a time. */
const PIECE_BYTES = 64 * 1024;

/** A part of what was written: bytes of the writer's own up to a place, or kept ones that follow them. */
interface KeptPart {
  readonly end: number;
  readonly kept: StateBytes;
}

/** Appends values to a growing buffer; what is kept already stays where it lies until it is written. */
export class StateWriter implements StatePieces {
  #bytes = new Uint8Array(1024);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;
  readonly #kept: KeptPart[] = [];
  #keptBytes = 0;

  #room(more: number): void {
    if (this.#length + more <= this.#bytes.length) return;
    this.#bytes = grown(this.#bytes, this.#length + more);
    this.#view = new DataView(this.#bytes.buffer);
  }

  /** Forgets what was written: its memory is used again. */
  clear(): this {
    this.#length = 0;
    this.#kept.length = 0;
    this.#keptBytes = 0;
    return this;
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
    return this.raw(new Uint8Array(column.buffer, column.byteOffset, byteLength));
  }

  /** Bytes without their length. */
  raw(bytes: Uint8Array): this {
    this.#room(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
    return this;
  }

  /** The same of bytes that are read when all is written: until then they do not change. */
  kept(kept: StateBytes): this {
    if (kept.length === 0) return this;
    // It may grow meanwhile.
    this.#kept.push({ end: this.#length, kept: partOf(kept, 0, kept.length) });
    this.#keptBytes += kept.length;
    return this;
  }

  /** All that another one has written, as a column. */
  columnOf(other: StateWriter): this {
    this.u32(other.length);
    let from = 0;
    for (const { end, kept } of other.#kept) {
      this.raw(other.#bytes.subarray(from, end)).kept(kept);
      from = end;
    }
    return this.raw(other.#bytes.subarray(from, other.#length));
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

  /** Bytes that were written so far. */
  get length(): number {
    return this.#length + this.#keptBytes;
  }

  /** The same in pieces, each valid until the next is asked for. */
  *pieces(): Generator<Uint8Array> {
    let from = 0;
    for (const { end, kept } of this.#kept) {
      if (end > from) yield this.#bytes.subarray(from, end);
      from = end;
      const piece = new Uint8Array(Math.min(kept.length, PIECE_BYTES));
      for (let at = 0; at < kept.length; at += piece.length) {
        const some = piece.subarray(0, kept.length - at);
        kept.copy(at, some);
        yield some;
      }
    }
    if (this.#length > from) yield this.#bytes.subarray(from, this.#length);
  }

  /** All of it in one piece; valid until more is written. */
  bytes(): Uint8Array {
    if (this.#kept.length === 0) return this.#bytes.subarray(0, this.#length);
    const whole = new Uint8Array(this.length);
    let at = 0;
    for (const piece of this.pieces()) {
      whole.set(piece, at);
      at += piece.length;
    }
    return whole;
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

/** Bytes that are read at once of a state that is not in memory, where values are taken off it. */
const READ_BYTES = 4096;

/** Takes values off a buffer in the order they were written. StateUnfit where it is too short. */
export class StateReader {
  readonly #source: StateBytes;
  /** Where values are read: all of the source where it is in memory, else what was read last of it. */
  #near: Uint8Array;
  #view: DataView;
  #nearFrom = 0;
  #nearEnd: number;
  #at = 0;
  /** Where small columns are copied to: memory of its own for each costs far more than its bytes. */
  #shared = NO_BYTES;
  #used = 0;
  #copied = 0;

  constructor(bytes: Uint8Array | StateBytes) {
    this.#source = bytes instanceof Uint8Array ? inMemory(bytes) : bytes;
    const { memory } = this.#source;
    this.#near = memory ?? new Uint8Array(READ_BYTES);
    this.#nearEnd = memory === null ? 0 : memory.length;
    this.#view = new DataView(this.#near.buffer, this.#near.byteOffset, this.#near.byteLength);
  }

  #take(length: number): number {
    const at = this.#at;
    if (length > this.#source.length - at) throw new StateUnfit('state ends early');
    this.#at += length;
    return at;
  }

  /** Where in `#near` a value of a few bytes is that was taken. */
  #placeOf(at: number, length: number): number {
    if (at < this.#nearFrom || at + length > this.#nearEnd) {
      const count = Math.min(READ_BYTES, this.#source.length - at);
      this.#source.copy(at, this.#near.subarray(0, count));
      this.#nearFrom = at;
      this.#nearEnd = at + count;
    }
    return at - this.#nearFrom;
  }

  u32(): number {
    return this.#view.getUint32(this.#placeOf(this.#take(4), 4), true);
  }

  u64(): bigint {
    return this.#view.getBigUint64(this.#placeOf(this.#take(8), 8), true);
  }

  /** Copies so many bytes to where they are aligned, `#copied` of the memory that it gives. */
  #copy(length: number): ArrayBuffer {
    const at = this.#take(length);
    if (length > SHARED_COLUMN_BYTES) {
      this.#copied = 0;
      return copyOf(this.#source, at, length).buffer;
    }
    if (this.#used + length > this.#shared.length) {
      // No more than may come: of thousands of small states each has a reader of its own.
      const left = Math.ceil((this.#source.length - at) / ALIGNED_BYTES) * ALIGNED_BYTES;
      this.#shared = new Uint8Array(Math.min(SHARED_BYTES, left));
      this.#used = 0;
    }
    this.#copied = this.#used;
    this.#used += Math.ceil(length / ALIGNED_BYTES) * ALIGNED_BYTES;
    this.#source.copy(at, this.#shared.subarray(this.#copied, this.#copied + length));
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

  /** So many bytes from a place on: where they lie, if they are in memory. */
  #bytesAt(at: number, length: number): Uint8Array {
    return wholeOf(partOf(this.#source, at, length));
  }

  /** All bytes from a place on that was come past, where they lie if they are in memory. */
  since(at: number): Uint8Array {
    return this.#bytesAt(at, this.#at - at);
  }

  /** Passes over a column, and gives how many values of so many bytes each it has. */
  pass(bytesEach: number): number {
    const count = this.#count(bytesEach, 'values');
    this.#take(count * bytesEach);
    return count;
  }

  /** A column where it lies: for whoever reads it later. */
  kept(): StateBytes {
    const length = this.u32();
    return partOf(this.#source, this.#take(length), length);
  }

  /** A column, without a copy where it is in memory. */
  part(): Uint8Array {
    return wholeOf(this.kept());
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

  /** So many bytes, where they lie if they are in memory. */
  raw(lengthBytes: number): Uint8Array {
    return this.#bytesAt(this.#take(lengthBytes), lengthBytes);
  }

  text(): string {
    return DECODER.decode(this.part());
  }
}
