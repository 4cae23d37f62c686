// Memory in which segments are made, one after the other: the same for each of them, since the first
// touch of fresh memory costs more than what is done with it.

/** More than was asked for, by this part: segments are not all of one size. */
const SPARE_FRACTION = 1 / 4;

export class Workspace {
  readonly #arrays = new Map<string, Uint32Array>();

  /**
   * `count` words, with whatever was left in them. Those of one name are the same memory: valid until
   * the name is asked for again.
   */
  words(name: string, count: number): Uint32Array {
    let array = this.#arrays.get(name);
    if (array === undefined || array.length < count) {
      array = new Uint32Array(Math.ceil(count * (1 + SPARE_FRACTION)));
      this.#arrays.set(name, array);
    }
    return array.subarray(0, count);
  }

  /** Gives all of it back. */
  clear(): void {
    this.#arrays.clear();
  }
}
