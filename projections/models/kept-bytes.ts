// Bytes of a state that are not all in one piece of memory: a part of others, and those that grow.

import type { StateBytes } from '../../domain/ports/derived-files.ts';
import { assert } from '../../domain/values/assert.ts';

/** Bytes as they are in memory. */
export const inMemory = (bytes: Uint8Array): StateBytes => ({
  length: bytes.length,
  memory: bytes,
  copy: (at, target) => target.set(bytes.subarray(at, at + target.length)),
});

export const NO_STATE = inMemory(new Uint8Array(0));

/** So many bytes of others, from a place on. */
export function partOf(of: StateBytes, at: number, length: number): StateBytes {
  assert(at >= 0 && at + length <= of.length, 'a part lies in what it is part of');
  if (of.memory !== null) return inMemory(of.memory.subarray(at, at + length));
  return { length, memory: null, copy: (from, target) => of.copy(at + from, target) };
}

/** A copy of so many bytes, from a place on. */
export function copyOf(of: StateBytes, at: number, length: number): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(length);
  of.copy(at, copy);
  return copy;
}

/** All of them: where they are in memory without a copy. */
export const wholeOf = (of: StateBytes): Uint8Array => of.memory ?? copyOf(of, 0, of.length);

/** Bytes of a chunk where nothing else is asked for. */
const CHUNK_BYTES = 64 * 1024;

/** Bytes that grow at their end, in chunks that are filled one after the other. */
export class GrowingBytes implements StateBytes {
  readonly memory = null;
  readonly #chunkBytes: number;
  readonly #chunks: Uint8Array<ArrayBuffer>[] = [];
  length = 0;

  constructor(chunkBytes = CHUNK_BYTES) {
    this.#chunkBytes = chunkBytes;
  }

  /** The chunk that holds a place, and where the place is in it. */
  chunkAt(at: number): { readonly bytes: Uint8Array<ArrayBuffer>; readonly at: number } {
    const number = Math.floor(at / this.#chunkBytes);
    return { bytes: this.#chunks[number]!, at: at - number * this.#chunkBytes };
  }

  /** Room at the end for as many bytes as lie in one chunk, at most `count`: it counts as filled. */
  #room(count: number): Uint8Array {
    const number = Math.floor(this.length / this.#chunkBytes);
    const at = this.length - number * this.#chunkBytes;
    const end = Math.min(at + count, this.#chunkBytes);
    const chunk = this.#chunks[number] ?? new Uint8Array(number > 0 ? this.#chunkBytes : end);
    this.#chunks[number] = end > chunk.length ? this.#longer(chunk, end) : chunk;
    this.length += end - at;
    return this.#chunks[number].subarray(at, end);
  }

  /** The first chunk is as short as it may be, and copied as it grows, until it is whole. */
  #longer(chunk: Uint8Array, end: number): Uint8Array<ArrayBuffer> {
    const longer = new Uint8Array(Math.min(Math.max(end, 2 * chunk.length), this.#chunkBytes));
    longer.set(chunk);
    return longer;
  }

  append(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      const room = this.#room(bytes.length - at);
      room.set(bytes.subarray(at, at + room.length));
      at += room.length;
    }
  }

  copy(at: number, target: Uint8Array): void {
    for (let copied = 0; copied < target.length;) {
      const chunk = this.chunkAt(at + copied);
      const bytes = chunk.bytes.subarray(chunk.at, chunk.at + target.length - copied);
      target.set(bytes, copied);
      copied += bytes.length;
    }
  }
}
