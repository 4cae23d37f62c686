// A set of small numbers, as bits: contents and patterns by their numbers. A bit a number up to the
// largest.

const WORD_BITS = 32;

export class NumberSet {
  #bits: Uint32Array<ArrayBuffer>;
  /** Whether nothing was ever in it. */
  isEmpty: boolean;

  constructor(bits: Uint32Array<ArrayBuffer> = new Uint32Array(0)) {
    this.#bits = bits;
    this.isEmpty = !bits.some((word) => word !== 0);
  }

  has(number: number): boolean {
    return ((this.#bits[number >>> 5] ?? 0) & (1 << (number & 31))) !== 0;
  }

  /** Takes a number in; false: it was there. */
  add(number: number): boolean {
    if (this.has(number)) return false;
    if (number >>> 5 >= this.#bits.length) {
      const grown = new Uint32Array(Math.max((number >>> 5) + 1, 2 * this.#bits.length));
      grown.set(this.#bits);
      this.#bits = grown;
    }
    this.#bits[number >>> 5]! |= 1 << (number & 31);
    this.isEmpty = false;
    return true;
  }

  delete(number: number): void {
    if (this.has(number)) this.#bits[number >>> 5]! &= ~(1 << (number & 31));
  }

  /** The numbers, ascending. */
  *numbers(): Generator<number> {
    for (const [i, word] of this.#bits.entries()) {
      if (word === 0) continue;
      for (let bit = 0; bit < WORD_BITS; bit += 1)
        if ((word & (1 << bit)) !== 0) yield i * WORD_BITS + bit;
    }
  }

  /** The bits, the lowest number the lowest bit of the first word. */
  get bits(): Uint32Array {
    return this.#bits;
  }
}
