// A column of 32-bit numbers that grows at its end.

export class GrowingWords {
  #words: Uint32Array;
  length: number;

  constructor(words: Uint32Array = new Uint32Array(0)) {
    this.#words = words;
    this.length = words.length;
  }

  /** A number, by its index below `length`. */
  at(index: number): number {
    return this.#words[index]!;
  }

  push(value: number): void {
    if (this.length === this.#words.length) {
      const longer = new Uint32Array(Math.max(16, 2 * this.length));
      longer.set(this.#words);
      this.#words = longer;
    }
    this.#words[this.length] = value;
    this.length += 1;
  }

  /** All of them; valid until more come. */
  get all(): Uint32Array {
    return this.#words.subarray(0, this.length);
  }
}
