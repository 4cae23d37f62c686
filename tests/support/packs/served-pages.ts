// A guest's table by hand, for what serves it: contents in packs of blocks of two pages, and which
// holding is where. A page's bytes say what it holds.

import type { PageLocator, ReadPack } from '../../../domain/ports/models.ts';
import { PageQueue } from '../../../domain/use-cases/serve/page-queue.ts';
import { StoredNeighbours } from '../../../domain/use-cases/serve/page-neighbours.ts';
import { endsOfPages } from '../../../domain/use-cases/layout/storage-block-numbers.ts';
import { NO_PATCHES } from '../../../domain/events/patches.ts';
import { FIRST_CONTENT, ZERO, type Holding } from '../../../domain/values/holding.ts';
import { BLOCK_PAGES, PACK_SLOTS, PAGE_BYTES } from '../../../domain/values/page.ts';

export const BLOCK = 2;
const PACK_BLOCKS = 8;
const PACK_PAGES = BLOCK * PACK_BLOCKS;

/** The nth content; contents lie in their order, so many in a pack. */
export const content = (n: number): Holding => FIRST_CONTENT + n;

const packOf = (ordinal: number): ReadPack => ({
  ordinal,
  name: String(ordinal),
  sizeBytes: 0,
  blocks: {
    codecs: new Uint8Array(PACK_BLOCKS),
    pages: new Uint8Array(PACK_BLOCKS).fill(BLOCK),
    lengths: new Uint32Array(PACK_BLOCKS).fill(100),
    checksums: new Uint32Array(PACK_BLOCKS),
  },
  patches: NO_PATCHES,
  references: new Uint32Array(0),
});

export const locator: PageLocator = {
  placeOf: (holding) => {
    const n = holding - FIRST_CONTENT;
    return Math.floor(n / PACK_PAGES) * PACK_SLOTS + (n % PACK_PAGES);
  },
  packAt: (place) => packOf(Math.floor(place / PACK_SLOTS)),
  referenceAt: () => null,
};

/** A queue over a table; storage blocks are of two blocks. */
export function queueOf(table: Uint32Array, given?: Uint8Array, withheld?: Uint8Array): PageQueue {
  const storageEnds = endsOfPages(2 * BLOCK_PAGES);
  const neighbours = new StoredNeighbours({ table, locator, storageEnds });
  const waits = withheld === undefined ? {} : { withheld };
  const queue = new PageQueue({ table, neighbours, ...waits });
  if (given !== undefined) queue.had(given);
  return queue;
}

/** The bytes of a page that holds this. */
export function pageHolding(holding: Holding): Uint8Array {
  const page = new Uint8Array(PAGE_BYTES);
  if (holding !== ZERO) new DataView(page.buffer).setUint32(0, holding);
  return page;
}

/** What a page's bytes say that it holds. */
export const heldBy = (page: Uint8Array): Holding =>
  new DataView(page.buffer, page.byteOffset).getUint32(0);
