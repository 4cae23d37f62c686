// What a MemoryFile (domain/ports/guests.ts) is to adapters: an open file's descriptor, the path of one
// to be opened, or shared memory, which all threads can use, or a disk of another kind, which only the
// thread that has it can. Reads and writes are synchronous, as the page engine's are, and may be short.

import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs';
import { types } from 'node:util';
import { assert } from '../../domain/values/assert.ts';
import type { MemoryFile } from '../../domain/ports/guests.ts';

/** A part of a buffer and the place in the memory that it comes from or goes to. */
export interface MemoryPart {
  readonly bytes: Uint8Array;
  readonly at: number;
  readonly lengthBytes: number;
  readonly offsetBytes: number;
}

/** Memory that is neither a file's nor shared. */
export interface OtherMemory {
  /** How many bytes were read: 0 at the end only. */
  read(target: Uint8Array, offsetBytes: number): number;
  /** How many bytes were written. */
  write(bytes: Uint8Array, offsetBytes: number): number;
}

/** The memory of an open file. It stays its opener's to close. */
export const memoryOfDescriptor = (descriptor: number): MemoryFile => ({ handle: descriptor });

/** The memory of a file that is opened, for reading, where it is used. */
export const memoryOfPath = (path: string): MemoryFile => ({ handle: { path } });

/** Another memory, which only the thread can use that has it. */
export const otherMemory = (memory: OtherMemory): MemoryFile => ({ handle: memory });

const isOther = (handle: unknown): handle is OtherMemory =>
  typeof handle === 'object' && handle !== null && 'read' in handle && 'write' in handle;

const isPath = (handle: unknown): handle is { readonly path: string } =>
  typeof handle === 'object' && handle !== null && 'path' in handle;

/** Calls `use` with a memory that can be read, opened for it if need be. */
export function withOpenMemory<A>(file: MemoryFile, use: (open: MemoryFile) => A): A {
  const { handle } = file;
  if (!isPath(handle)) return use(file);
  // What is no regular file makes nobody wait.
  const descriptor = openSync(handle.path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    return use(memoryOfDescriptor(descriptor));
  } finally {
    closeSync(descriptor);
  }
}

/** Whether other threads can read and write a memory, too. */
export const isOfThreads = ({ handle }: MemoryFile): boolean => !isOther(handle);

/** The part of the shared memory that there is. */
function sharedPart(shared: SharedArrayBuffer, part: MemoryPart): Uint8Array {
  const { lengthBytes, offsetBytes } = part;
  const there = Math.max(0, shared.byteLength - offsetBytes);
  return new Uint8Array(shared, there === 0 ? 0 : offsetBytes, Math.min(lengthBytes, there));
}

/** Reads, and says how many bytes: 0 at the memory's end only. */
export function readMemory({ handle }: MemoryFile, part: MemoryPart): number {
  const { bytes, at, lengthBytes, offsetBytes } = part;
  if (typeof handle === 'number') return readSync(handle, bytes, at, lengthBytes, offsetBytes);
  if (types.isSharedArrayBuffer(handle)) {
    const found = sharedPart(handle, part);
    bytes.set(found, at);
    return found.length;
  }
  assert(isOther(handle), 'a memory file was opened by an adapter');
  return handle.read(bytes.subarray(at, at + lengthBytes), offsetBytes);
}

/** Writes, and says how many bytes. */
export function writeMemory({ handle }: MemoryFile, part: MemoryPart): number {
  const { bytes, at, lengthBytes, offsetBytes } = part;
  if (typeof handle === 'number') return writeSync(handle, bytes, at, lengthBytes, offsetBytes);
  if (types.isSharedArrayBuffer(handle)) {
    const room = sharedPart(handle, part);
    room.set(bytes.subarray(at, at + room.length));
    return room.length;
  }
  assert(isOther(handle), 'a memory file was opened by an adapter');
  return handle.write(bytes.subarray(at, at + lengthBytes), offsetBytes);
}
