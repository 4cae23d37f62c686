// Memory that a few pages are read into, used again when they are given back: memory that was never
// touched costs more than reading a page of which the block is decoded already.

import { assert } from '../../values/assert.ts';
import { PAGE_BYTES } from '../../values/page.ts';
import { Spares, type LentBytes } from '../../values/spares.ts';

/** Rooms that are kept while nobody reads. */
const FREE_MAX = 16;

export class PageRooms {
  readonly #roomPages: number;
  readonly #spares = new Spares<Uint8Array>(FREE_MAX);

  /** Rooms of so many pages. */
  constructor(roomPages: number) {
    this.#roomPages = roomPages;
  }

  /** Memory for so many pages, which holds anything. No more than a room has. */
  lend(pages: number): LentBytes {
    assert(pages <= this.#roomPages, 'a room holds what is read into it');
    const room = this.#spares.take(() => new Uint8Array(this.#roomPages * PAGE_BYTES));
    return {
      bytes: room.subarray(0, pages * PAGE_BYTES),
      giveBack: () => this.#spares.giveBack(room),
    };
  }
}
