// Which pages of a guest come with one that it asks for, where a checkpoint was laid out by what guests
// asked for. Those that they asked for lie together there, and are given before all else. What came along
// with these then, of the storage blocks that they lay in, they never had to ask for, though they may
// have needed it: it comes along as before.

import type { PageNeighbours } from './page-neighbours.ts';

export class TracedNeighbours implements PageNeighbours {
  readonly #copies: PageNeighbours;
  readonly #plain: PageNeighbours;

  /** Neighbours among the copies, and where pages lie but for these. */
  constructor(of: { readonly copies: PageNeighbours; readonly plain: PageNeighbours }) {
    this.#copies = of.copies;
    this.#plain = of.plain;
  }

  block(page: number): Uint32Array {
    return this.#copies.block(page);
  }

  storageBlock(page: number): Uint32Array {
    return this.#plain.storageBlock(page);
  }

  inStorageOrder(): ReturnType<PageNeighbours['inStorageOrder']> {
    return this.#copies.inStorageOrder();
  }
}
