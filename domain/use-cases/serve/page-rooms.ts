// Memory that a few pages are read into, used again when they are given back: memory that was never
// touched costs more than reading a page of which the block is decoded already.

import { assert } from '../../values/assert.ts';
import { PAGE_BYTES } from '../../values/page.ts';
import type { LentPages } from './window-pool.ts';

/** Most pages that are read into a room. */
const ROOM_PAGES = 32;
/** Rooms that are kept while nobody reads (2 MiB). */
const FREE_MAX = 16;

export class PageRooms {
  readonly #free: Uint8Array[] = [];

  /** Memory for so many pages, which holds anything; ROOM_PAGES at most. */
  lend(pages: number): LentPages {
    assert(pages <= ROOM_PAGES, 'a room holds what is read into it');
    const room = this.#free.pop() ?? new Uint8Array(ROOM_PAGES * PAGE_BYTES);
    return {
      bytes: room.subarray(0, pages * PAGE_BYTES),
      giveBack: () => {
        if (this.#free.length < FREE_MAX) this.#free.push(room);
      },
    };
  }
}
