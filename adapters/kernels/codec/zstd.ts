// zstd, compiled to WebAssembly: the module of @cloudpss/zstd, which the build takes out of its package
// (unpack-zstd.mjs) and whose names these are. It is instantiated when the first block needs it. There is
// an instance a thread; the package's native build keeps its contexts in static variables of the process
// and so is not safe on worker threads.

import { assert } from '../../../domain/values/assert.ts';
import { instanceOf } from '../compiled.ts';

const WASM_PAGE_BYTES = 64 * 1024;

/** The module's names were made short when it was built; in brackets, what each is. */
interface Exports {
  readonly c: { readonly buffer: ArrayBuffer; grow(pages: number): number };
  /** (initialise) */
  d(): void;
  /** (ZSTD_isError) */
  g(code: number): number;
  /** (ZSTD_getErrorName) Address of text that ends with a zero byte. */
  h(code: number): number;
  /** (ZSTD_compressBound) */
  i(sourceBytes: number): number;
  /** (malloc) 0: no room. */
  k(bytes: number): number;
  /** (free) */
  l(address: number): void;
  /** (ZSTD_compress) */
  m(target: number, room: number, source: number, bytes: number, level: number): number;
  /** (ZSTD_decompress) */
  n(target: number, room: number, source: number, bytes: number): number;
}

/** A stretch of the module's memory that is used again and again. */
interface Room {
  readonly address: number;
  readonly bytes: number;
}

const NO_ROOM: Room = { address: 0, bytes: 0 };

const isZstd = (exports: object): exports is Exports => 'm' in exports && 'n' in exports;

class Zstd {
  readonly #wasm: Exports;
  #bytes: Uint8Array;
  #source = NO_ROOM;
  #target = NO_ROOM;

  constructor() {
    const imports = {
      // a larger memory is needed: 1 where it is had
      a: (bytes: number) => Number(this.#grow(bytes >>> 0)),
      // memcpy, of long stretches
      b: (to: number, from: number, bytes: number) =>
        this.#bytes.copyWithin(to, from, from + bytes),
    };
    const exports = instanceOf('zstd', { a: imports });
    assert(isZstd(exports), 'the module of zstd is that which its names are known of');
    this.#wasm = exports;
    this.#bytes = new Uint8Array(this.#wasm.c.buffer);
    this.#wasm.d();
  }

  compress(content: Uint8Array, level: number): Uint8Array {
    const roomBytes = this.#wasm.i(content.byteLength);
    const source = this.#sourceOf(content);
    const target = (this.#target = this.#roomOf(this.#target, roomBytes));
    const packed = this.#wasm.m(target.address, target.bytes, source, content.byteLength, level);
    return this.#result(packed);
  }

  decompress(packed: Uint8Array, contentBytes: number): Uint8Array {
    const source = this.#sourceOf(packed);
    const target = (this.#target = this.#roomOf(this.#target, contentBytes));
    return this.#result(this.#wasm.n(target.address, contentBytes, source, packed.byteLength));
  }

  /** Grows the memory to at least so many bytes, and by an eighth, so that it seldom does. */
  #grow(wantedBytes: number): boolean {
    const heldBytes = this.#wasm.c.buffer.byteLength;
    const missingBytes = Math.max(wantedBytes - heldBytes, heldBytes / 8);
    try {
      this.#wasm.c.grow(Math.ceil(missingBytes / WASM_PAGE_BYTES));
    } catch {
      return false;
    }
    this.#bytes = new Uint8Array(this.#wasm.c.buffer);
    return true;
  }

  #roomOf(held: Room, bytes: number): Room {
    if (held.bytes >= bytes) return held;
    if (held !== NO_ROOM) this.#wasm.l(held.address);
    const address = this.#wasm.k(bytes) >>> 0;
    assert(address !== 0, 'there is memory for one block');
    return { address, bytes };
  }

  #sourceOf(bytes: Uint8Array): number {
    this.#source = this.#roomOf(this.#source, bytes.byteLength);
    this.#bytes.set(bytes, this.#source.address);
    return this.#source.address;
  }

  /** A copy of what lies in the target, or the error that the length stands for. */
  #result(lengthOrCode: number): Uint8Array {
    if (this.#wasm.g(lengthOrCode) !== 0) {
      const from = this.#wasm.h(lengthOrCode) >>> 0;
      const name = this.#bytes.subarray(from, this.#bytes.indexOf(0, from));
      throw new RangeError(new TextDecoder().decode(name));
    }
    const { address } = this.#target;
    return this.#bytes.slice(address, address + (lengthOrCode >>> 0));
  }
}

let instance: Zstd | null = null;
const zstd = (): Zstd => (instance ??= new Zstd());

/** A zstd frame of the content. */
export const compress = (content: Uint8Array, level: number): Uint8Array =>
  zstd().compress(content, level);

/** The content, at most `contentBytes`, of a frame; RangeError where zstd refuses it. */
export const decompress = (packed: Uint8Array, contentBytes: number): Uint8Array =>
  zstd().decompress(packed, contentBytes);
