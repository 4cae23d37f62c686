// Numbers of seven bits a byte, the lowest first (LEB128), up to 2^32 - 1.

const BYTES_MAX = 5;

/** Bytes that a number takes. */
export function lebBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) bytes += 1;
  return bytes;
}

/** Writes a number at `at`, and gives the place after it. */
export function writeLeb(bytes: Uint8Array, at: number, value: number): number {
  let rest = value;
  let next = at;
  for (; rest >= 128; next += 1) {
    bytes[next] = (rest % 128) | 128;
    rest = Math.floor(rest / 128);
  }
  bytes[next] = rest;
  return next + 1;
}

/** Reads numbers and stretches one after another, never past `end`: then it has failed, for good. */
export class LebReader {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  #at: number;
  hasFailed = false;

  constructor(bytes: Uint8Array, at: number, end: number) {
    this.#bytes = bytes;
    this.#at = at;
    this.#end = end;
  }

  /** Bytes before the end. */
  get left(): number {
    return this.#end - this.#at;
  }

  byte(): number {
    if (this.#at >= this.#end) {
      this.hasFailed = true;
      return 0;
    }
    this.#at += 1;
    return this.#bytes[this.#at - 1]!;
  }

  next(): number {
    let value = 0;
    for (let i = 0; i < BYTES_MAX; i += 1) {
      const byte = this.byte();
      value += (byte & 127) * 2 ** (7 * i);
      if (byte < 128) return value;
    }
    this.hasFailed = true;
    return 0;
  }

  /** Passes over so many bytes, and gives where they begin. */
  skip(count: number): number {
    const start = this.#at;
    this.#at += count;
    if (this.#at > this.#end) this.hasFailed = true;
    return start;
  }
}
