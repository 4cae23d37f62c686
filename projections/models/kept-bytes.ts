// Bytes of a state, wherever they lie, and parts of them.

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
