// Bytes that are written one after the other, as files of debuggers have their numbers: little-endian, of
// fixed widths or of seven bits a byte.

import { grown } from '../../values/grown.ts';
import { writeLeb } from '../../values/leb128.ts';

/** Of a number of seven bits a byte. */
const LEB_BYTES_MAX = 10;

export class GrowingBytes {
  #bytes = new Uint8Array(4096);
  #view = new DataView(this.#bytes.buffer);
  length = 0;

  /** Makes room, and gives where it begins. */
  #room(bytes: number): number {
    const at = this.length;
    if (at + bytes > this.#bytes.length) {
      this.#bytes = grown(this.#bytes, at + bytes);
      this.#view = new DataView(this.#bytes.buffer);
    }
    return at;
  }

  u8(value: number): void {
    const at = this.#room(1);
    this.#view.setUint8(at, value);
    this.length = at + 1;
  }

  u16(value: number): void {
    const at = this.#room(2);
    this.#view.setUint16(at, value, true);
    this.length = at + 2;
  }

  u32(value: number): void {
    const at = this.#room(4);
    this.#view.setUint32(at, value, true);
    this.length = at + 4;
  }

  u64(value: bigint): void {
    const at = this.#room(8);
    this.#view.setBigUint64(at, value, true);
    this.length = at + 8;
  }

  /** A number of seven bits a byte. */
  leb(value: number): void {
    const at = this.#room(LEB_BYTES_MAX);
    this.length = writeLeb(this.#bytes, at, value);
  }

  /** A number of seven bits a byte and up to 64 bits. */
  longLeb(value: bigint): void {
    this.#room(LEB_BYTES_MAX);
    for (let rest = value; ; rest >>= 7n) {
      this.u8(Number(rest & 0x7fn) | (rest < 128n ? 0 : 0x80));
      if (rest < 128n) return;
    }
  }

  /** A number of seven bits a byte that may be negative: a last byte's highest bit is the sign. */
  signedLeb(value: bigint): void {
    this.#room(LEB_BYTES_MAX);
    for (let rest = value; ; rest >>= 7n) {
      const isLast = rest >= -64n && rest < 64n;
      this.u8(Number(rest & 0x7fn) | (isLast ? 0 : 0x80));
      if (isLast) return;
    }
  }

  put(bytes: Uint8Array): void {
    this.#room(bytes.length);
    this.#bytes.set(bytes, this.length);
    this.length += bytes.length;
  }

  /** A text and its zero. */
  text(text: string): void {
    this.put(new TextEncoder().encode(`${text}\0`));
  }

  /** Zeros up to a multiple. */
  pad(multiple: number): void {
    const bytes = (multiple - (this.length % multiple)) % multiple;
    this.put(new Uint8Array(bytes));
  }

  /** Replaces what was written at a place. */
  setU32(at: number, value: number): void {
    this.#view.setUint32(at, value, true);
  }

  getU32(at: number): number {
    return this.#view.getUint32(at, true);
  }

  /** What was written; valid until more is. */
  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.length);
  }
}
