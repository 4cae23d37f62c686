// Bytes that a peer sends in pieces, as many of them as it likes: together no more than was agreed on, and
// no more memory than that.

import { linkInvalid } from '../../wiring/hosts/arrival.ts';

/** Pieces of something, one after the other. */
export class Gathered {
  readonly #most: number;
  readonly #what: string;
  #room = new Uint8Array(0);
  #length = 0;

  constructor(most: number, what: string) {
    this.#most = most;
    this.#what = what;
  }

  /** Takes a piece. LINK_INVALID where there is nothing in it, or more together than can be. */
  add(piece: Uint8Array): void {
    const length = this.#length + piece.length;
    if (piece.length === 0)
      throw linkInvalid(`it sends a piece of ${this.#what} with nothing in it`);
    if (length > this.#most)
      throw linkInvalid(
        `it sends ${this.#what} in ${length} bytes; at most ${this.#most} were expected`,
      );
    if (length > this.#room.length) {
      const room = new Uint8Array(Math.min(this.#most, Math.max(length, 2 * this.#room.length)));
      room.set(this.bytes);
      this.#room = room;
    }
    this.#room.set(piece, this.#length);
    this.#length = length;
  }

  /** What came so far. */
  get bytes(): Uint8Array {
    return this.#room.subarray(0, this.#length);
  }
}
