// LZO1X, as far as kdumps have it: a page compressed by itself (the format is told in Linux,
// Documentation/staging/lzo.rst). The data is instructions, each a byte that says what it is and, for
// some, bytes of a length and a distance: a run of literals, or a copy of what came before and then up to
// three literals. What a byte below 16 means depends on how many literals came just before. An
// instruction of the farthest kind with the distance 16,384 is the end.

const LITERALS_MAX_AFTER_COPY = 3;
/** After a run of literals that was an instruction of its own. */
const AFTER_RUN = LITERALS_MAX_AFTER_COPY + 1;
/** A first byte above this one is literals, as many as it is above it. */
const FIRST_LITERALS = 17;
const FAR = 16_384;
const AFTER_RUN_DISTANCE = 2049;
const END = -1;

/** Instructions read one after the other, and what they make. */
class Unpacking {
  readonly #data: Uint8Array;
  readonly #out: Uint8Array;
  #at = 0;
  done = 0;
  hasFailed = false;

  constructor(data: Uint8Array, out: Uint8Array) {
    this.#data = data;
    this.#out = out;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#data.length;
  }

  byte(): number {
    if (this.#at >= this.#data.length) this.hasFailed = true;
    this.#at += 1;
    return this.#data[this.#at - 1] ?? 0;
  }

  word(): number {
    const low = this.byte();
    return low | (this.byte() << 8);
  }

  /** A length that stands in some bits, or, where these are zero, in bytes behind them: 255 for each zero. */
  length(bits: number, most: number): number {
    if (bits > 0) return bits;
    let length = most;
    for (;;) {
      const byte = this.byte();
      if (byte > 0) return length + byte;
      length += 255;
      if (this.hasFailed || length > this.#out.length) {
        this.hasFailed = true;
        return 0;
      }
    }
  }

  literals(count: number): void {
    const end = this.#at + count;
    if (end > this.#data.length || this.done + count > this.#out.length) {
      this.hasFailed = true;
      return;
    }
    this.#out.set(this.#data.subarray(this.#at, end), this.done);
    this.#at = end;
    this.done += count;
  }

  copy(distance: number, count: number): void {
    const { done } = this;
    if (distance > done || done + count > this.#out.length) {
      this.hasFailed = true;
      return;
    }
    if (distance >= count) this.#out.copyWithin(done, done - distance, done - distance + count);
    else for (let i = 0; i < count; i += 1) this.#out[done + i] = this.#out[done + i - distance]!;
    this.done += count;
  }

  /** One instruction after so many literals; how many literals there are then, or END. */
  next(before: number): number {
    const code = this.byte();
    if (code < 16 && before === 0) {
      this.literals(this.length(code, 15) + 3);
      return AFTER_RUN;
    }
    let literals = code & LITERALS_MAX_AFTER_COPY;
    if (code < 16) {
      const distance = (this.byte() << 2) + (code >>> 2) + 1;
      if (before === AFTER_RUN) this.copy(distance + AFTER_RUN_DISTANCE - 1, 3);
      else this.copy(distance, 2);
    } else if (code < 64) {
      const isFar = code < 32;
      const count = 2 + (isFar ? this.length(code & 7, 7) : this.length(code & 31, 31));
      const word = this.word();
      const distance = (word >>> 2) + (isFar ? FAR + ((code & 8) << 11) : 1);
      if (distance === FAR && isFar) return END;
      literals = word & LITERALS_MAX_AFTER_COPY;
      this.copy(distance, count);
    } else {
      const count = code < 128 ? 3 + ((code >>> 5) & 1) : 5 + ((code >>> 5) & 3);
      this.copy((this.byte() << 3) + ((code >>> 2) & 7) + 1, count);
    }
    this.literals(literals);
    return literals;
  }
}

/** Decompresses data into `out`; how many bytes, or null where it is not sound or has more. O(out). */
export function unlzo(data: Uint8Array, out: Uint8Array): number | null {
  const unpacking = new Unpacking(data, out);
  let before = 0;
  const first = data[0] ?? 0;
  if (first > FIRST_LITERALS) {
    unpacking.byte();
    const count = first - FIRST_LITERALS;
    unpacking.literals(count);
    before = Math.min(count, AFTER_RUN);
  }
  while (before !== END && !unpacking.hasFailed) before = unpacking.next(before);
  return unpacking.hasFailed || !unpacking.isAtEnd ? null : unpacking.done;
}
