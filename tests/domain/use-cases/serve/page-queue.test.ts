// Which pages come with one that is asked for, and in which order pages are given.

import { describe, expect, test } from '@jest/globals';
import {
  StoredNeighbours,
  type PageNeighbours,
} from '../../../../domain/use-cases/serve/page-neighbours.ts';
import { endsOfPages } from '../../../../domain/use-cases/layout/storage-block-numbers.ts';
import { PageQueue, PUSH_PAGES_MAX } from '../../../../domain/use-cases/serve/page-queue.ts';
import { BLOCK_PAGES } from '../../../../domain/values/page.ts';
import { UNKNOWN, ZERO } from '../../../../domain/values/holding.ts';
import { placeAt, slotAt } from '../../../../domain/values/place.ts';
import { content, locator, queueOf } from '../../../support/packs/served-pages.ts';

/** Contents in blocks (0 1) (2 3) (4 5) ...; page 6 holds what page 1 does, 3 and 7 are patterns. */
const TABLE = Uint32Array.of(
  content(4),
  content(1),
  ZERO,
  7,
  content(0),
  content(17),
  content(1),
  ZERO,
  content(2),
  content(5),
);
const neighbours = new StoredNeighbours({
  table: TABLE,
  locator,
  storageEnds: endsOfPages(2 * BLOCK_PAGES),
});
const take = (pages: Uint32Array | null): number[] => [...(pages ?? [])];
const inOrder = (of: StoredNeighbours): number[] => [...of.inStorageOrder()].flatMap(take);

describe('the neighbours of a page', () => {
  test('in its block are all pages that hold what is decoded with it, wherever they lie', () => {
    expect(take(neighbours.block(4))).toEqual([1, 4, 6]);
    expect(take(neighbours.block(6))).toEqual([1, 4, 6]);
    expect(take(neighbours.block(0))).toEqual([0, 9]);
    expect(take(neighbours.block(5))).toEqual([5]);
  });

  test('in its storage block are those of the blocks beside its own', () => {
    expect(take(neighbours.storageBlock(8))).toEqual([1, 4, 6, 8]);
    expect(take(neighbours.storageBlock(9))).toEqual([0, 9]);
  });

  test('among the copies of a checkpoint are those of the storage block that its map says', () => {
    // Copies of contents 4, 1, 0 and 2 in packs that come behind all others: the map cuts them at three blocks.
    const copies = [content(4), content(1), content(0), content(2)];
    const COPIES = 2 ** 32;
    const laidOut = new StoredNeighbours({
      table: TABLE,
      locator: {
        ...locator,
        placeOf: (holding) => {
          const at = copies.indexOf(holding);
          return at < 0 ? locator.placeOf(holding) : placeAt(COPIES, 2 * at);
        },
        packAt: (place) => locator.packAt(placeAt(0, slotAt(place))),
      },
      storageEnds: (pack) =>
        pack.ordinal === 0 ? Uint32Array.of(3, 8) : endsOfPages(2 * BLOCK_PAGES)(pack),
    });
    expect(take(laidOut.block(4))).toEqual([4]);
    expect(take(laidOut.storageBlock(4))).toEqual([0, 1, 4, 6]);
    expect(take(laidOut.storageBlock(8))).toEqual([8]);
    expect(take(laidOut.storageBlock(5))).toEqual([5]);
    expect(inOrder(laidOut)).toEqual([3, 9, 5, 0, 1, 6, 4, 8]);
  });

  test('of a page that costs no read are others near it that cost none', () => {
    expect(take(neighbours.block(2))).toEqual([2, 3, 7]);
    expect(take(neighbours.storageBlock(3))).toEqual([2, 3, 7]);
  });

  test('of a page that is lost there are none', () => {
    const table = Uint32Array.of(UNKNOWN, content(0), UNKNOWN);
    const lost = new StoredNeighbours({
      table,
      locator,
      storageEnds: endsOfPages(2 * BLOCK_PAGES),
    });
    expect(take(lost.block(0))).toEqual([0]);
    expect(inOrder(lost)).not.toContain(ZERO + 5);
  });

  test('of a page whose content was moved since are none that do not hold it', () => {
    let moved = false;
    const moving = {
      ...locator,
      placeOf: (holding: number) =>
        moved && holding === content(1) ? locator.placeOf(content(40)) : locator.placeOf(holding),
    };
    const late = new StoredNeighbours({
      table: TABLE,
      locator: moving,
      storageEnds: endsOfPages(2 * BLOCK_PAGES),
    });
    expect(take(late.block(4))).toEqual([1, 4, 6]);
    moved = true;
    expect(take(late.block(1))).toEqual([1]);
  });

  test('in storage order are all pages but zeros, once each, blocks together', () => {
    expect(inOrder(neighbours)).toEqual([3, 4, 1, 6, 8, 0, 9, 5]);
  });

  test('are found out once: nothing is looked up again when they are asked for or pushed', () => {
    let asked = 0;
    const counting = {
      ...locator,
      placeOf: (holding: number) => {
        asked += 1;
        return locator.placeOf(holding);
      },
    };
    // Pages of many packs: 16 contents in each.
    const table = Uint32Array.from({ length: 4096 }, (_, n) => content(n));
    const many = new StoredNeighbours({
      table,
      locator: counting,
      storageEnds: endsOfPages(2 * BLOCK_PAGES),
    });
    expect(asked).toBe(table.length);
    const queue = new PageQueue({ table, neighbours: many });
    queue.push();
    expect(take(queue.pushed()!.pages)).toEqual([...table.keys()].slice(0, PUSH_PAGES_MAX));
    expect(asked).toBe(table.length);
  });
});

describe('the pages to give next', () => {
  test('are what was asked for, that page first, and then its storage block', () => {
    const queue = queueOf(TABLE);
    expect(queue.demand({ firstPage: 6, count: 1 })).toBe(1);
    const answer = queue.answer();
    expect(take(answer)).toEqual([6, 1, 4]);
    queue.give(answer!);
    expect(queue.answer()).toBeNull();
    const next = queue.near();
    expect([take(next!.pages), next!.why]).toEqual([[8], 'filled']);
    queue.give(next!.pages);
    expect(queue.near()).toBeNull();
  });

  test('are asked for once, though several demands name them', () => {
    const queue = queueOf(TABLE);
    queue.demand({ firstPage: 4, count: 1 });
    queue.demand({ firstPage: 1, count: 1 });
    expect(take(queue.answer())).toEqual([4, 1, 6]);
    // On its way: nobody reads it again.
    expect(queue.answer()).toBeNull();
    queue.give(Uint32Array.of(4, 1, 6));
    expect(queue.demand({ firstPage: 1, count: 1 })).toBe(0);
    expect(queue.answer()).toBeNull();
  });

  test('are demands before prefetch, that before the rest of a storage block, that before the push', () => {
    const queue = queueOf(TABLE);
    queue.push();
    queue.prefetch(Uint32Array.of(5));
    queue.demand({ firstPage: 4, count: 1 });
    queue.give(queue.answer()!);
    queue.demand({ firstPage: 9, count: 1 });
    expect(take(queue.answer())).toEqual([9, 0]);
    queue.give(Uint32Array.of(9, 0));
    const order: [string, number[]][] = [];
    const unasked = () => queue.near() ?? queue.pushed();
    for (let next = unasked(); next !== null; next = unasked()) {
      order.push([next.why, take(next.pages)]);
      queue.give(next.pages);
    }
    expect(order).toEqual([
      ['prefetched', [5]],
      ['filled', [8]],
      ['pushed', [3]],
    ]);
    expect(queue.isDone).toBe(true);
    expect(queue.progress).toEqual({ pages: 8, pageCount: 8 });
  });

  test('are of storage blocks that are asked for now before those that were, and these as they were asked for', () => {
    const queue = queueOf(Uint32Array.from({ length: 32 }, (_, n) => content(n)));
    queue.prefetch(Uint32Array.of(0, 8), Uint32Array.of(8, 0));
    queue.demand({ firstPage: 16, count: 1 });
    queue.give(queue.answer()!);
    const order: [string, number[]][] = [];
    for (let next = queue.near(); next !== null; next = queue.near()) {
      order.push([next.why, [...next.pages]]);
      queue.give(next.pages);
    }
    expect(order).toEqual([
      ['prefetched', [0, 1, 8, 9]],
      ['filled', [18, 19]],
      ['prefetched', [10, 11, 2, 3]],
    ]);
    expect(queue.hasPrefetch).toBe(false);
  });

  test('are given by one of two ways that both have them', () => {
    const queue = queueOf(TABLE);
    expect(take(queue.give(Uint32Array.of(4, 5)))).toEqual([4, 5]);
    expect(take(queue.give(Uint32Array.of(5, 0)))).toEqual([0]);
  });

  test('are prefetched with the blocks that they lie in and their storage blocks behind, and not beyond the guest', () => {
    const queue = queueOf(TABLE);
    queue.prefetch(Uint32Array.of(4, 1000));
    expect(queue.hasPrefetch).toBe(true);
    const first = queue.near()!;
    expect([take(first.pages), first.why]).toEqual([[4, 1, 6], 'prefetched']);
    queue.give(first.pages);
    expect(queue.hasPrefetch).toBe(true);
    const second = queue.near()!;
    expect([take(second.pages), second.why]).toEqual([[8], 'prefetched']);
    queue.give(second.pages);
    expect(queue.near()).toBeNull();
    expect(queue.hasPrefetch).toBe(false);
  });

  test('are prefetched alone where they are known to be all that is used', () => {
    const queue = queueOf(TABLE);
    queue.prefetchAlone(Uint32Array.of(4, 1000, 9));
    const { pages, why } = queue.near()!;
    expect([take(pages), why]).toEqual([[4, 9], 'prefetched']);
    queue.give(pages);
    expect(queue.near()).toBeNull();
    expect(queue.hasPrefetch).toBe(false);
  });

  test('are those first that a guest needs first, with none of the others', () => {
    const queue = queueOf(TABLE);
    queue.prefetch(Uint32Array.of(4));
    queue.prefetchFirst(Uint32Array.of(5, 6, 1000));
    queue.push();
    const first = queue.near()!;
    expect([take(first.pages), first.why]).toEqual([[5, 6], 'prefetched']);
    queue.give(first.pages);
    const { pages } = queue.near()!;
    expect(take(pages)).toEqual([4, 1]);
    queue.give(pages);
    queue.demand({ firstPage: 9, count: 1 });
    expect(take(queue.answer())).toEqual([9, 0]);
  });

  test('are counted as had that a guest has already, and never given', () => {
    const queue = queueOf(
      TABLE,
      Uint8Array.from(TABLE, (_, page) => (page === 2 || page === 4 ? 1 : 0)),
    );
    expect(queue.progress).toEqual({ pages: 1, pageCount: 8 });
    expect(queue.demand({ firstPage: 4, count: 1 })).toBe(0);
    queue.demand({ firstPage: 6, count: 1 });
    expect(take(queue.answer())).toEqual([6, 1]);
  });

  test('are prefetched block by block first, and no block in parts', () => {
    // Blocks of two pages, storage blocks of four; all that is asked for is the first page of each of these.
    const count = 4 * PUSH_PAGES_MAX;
    const many = Uint32Array.from({ length: count }, (_, n) => content(n));
    const queue = queueOf(many);
    queue.prefetch(Uint32Array.from({ length: count / 4 }, (_, n) => 4 * n));
    const parts: number[][] = [];
    for (let next = queue.near(); next !== null; next = queue.near()) {
      expect(next.why).toBe('prefetched');
      parts.push(take(next.pages));
      queue.give(next.pages);
    }
    const pages = parts.flat();
    const firsts = (page: number): boolean => page % 4 < 2;
    expect(pages.slice(0, count / 2).every(firsts)).toBe(true);
    expect(pages.toSorted((a, b) => a - b)).toEqual([...many.keys()]);
    expect(parts.every(({ length }) => length <= PUSH_PAGES_MAX)).toBe(true);
  });

  test('are looked for once in a storage block that many prefetched pages lie in', () => {
    let looks = 0;
    const counting: PageNeighbours = {
      block: (page) => neighbours.block(page),
      storageBlock: (page) => {
        looks += 1;
        return neighbours.storageBlock(page);
      },
      inStorageOrder: () => neighbours.inStorageOrder(),
    };
    const queue = new PageQueue({ table: TABLE, neighbours: counting });
    queue.prefetch(Uint32Array.of(4, 1, 6, 8));
    const { pages } = queue.near()!;
    expect(take(pages)).toEqual([4, 1, 6, 8]);
    queue.give(pages);
    expect(queue.near()).toBeNull();
    expect(looks).toBe(1);
  });

  test('are none that the guest had when somebody went on with it', () => {
    const queue = queueOf(TABLE, Uint8Array.of(1, 1, 0, 0, 1, 1, 1, 0, 1, 0));
    queue.push();
    expect(take(queue.pushed()!.pages)).toEqual([3, 9]);
    expect(queue.demand({ firstPage: 0, count: 2 })).toBe(0);
  });

  test('that are withheld are given when they are asked for, alone, until they are released', () => {
    const withheld = Uint8Array.of(0, 1, 1, 0, 0, 0, 0, 0, 0, 1);
    const queue = new PageQueue({ table: TABLE, neighbours, withheld });
    queue.push();
    queue.prefetch(Uint32Array.of(1, 5));
    queue.demand({ firstPage: 1, count: 1 });
    expect(take(queue.answer())).toEqual([1]);
    queue.give(Uint32Array.of(1));
    queue.demand({ firstPage: 4, count: 1 });
    expect(take(queue.answer())).toEqual([4, 6]);
    queue.give(Uint32Array.of(4, 6));
    // One that holds zeros is asked for as any other.
    queue.demand({ firstPage: 2, count: 1 });
    expect(take(queue.answer())).toEqual([2]);
    queue.give(Uint32Array.of(2));
    const unasked: number[] = [];
    for (let next = queue.near() ?? queue.pushed(); next !== null;) {
      unasked.push(...next.pages);
      queue.give(next.pages);
      next = queue.near() ?? queue.pushed();
    }
    expect(unasked.toSorted((a, b) => a - b)).toEqual([0, 3, 5, 8]);
    expect([queue.isAheadGiven, queue.isWithholding, queue.isDone]).toEqual([true, true, false]);
    queue.release();
    expect([queue.isAheadGiven, queue.isWithholding, queue.isDone]).toEqual([false, false, false]);
    expect(take(queue.pushed()!.pages)).toEqual([9]);
    queue.give(Uint32Array.of(9));
    expect(queue.pushed()).toBeNull();
    expect(queue.isDone).toBe(true);
  });

  test('that were withheld and are released before anything is pushed wait for that', () => {
    const queue = new PageQueue({ table: TABLE, neighbours, withheld: new Uint8Array(10).fill(1) });
    queue.release();
    expect(queue.pushed()).toBeNull();
    queue.push();
    expect(take(queue.pushed()!.pages)).toHaveLength(8);
  });

  test('are done without a push never, and with zeros left', () => {
    const queue = queueOf(TABLE);
    queue.give(queue.demand({ firstPage: 0, count: 1 }) === 1 ? queue.answer()! : TABLE);
    expect(queue.isDone).toBe(false);
    expect(queue.has({ firstPage: 9, count: 1 })).toBe(true);
    expect(queue.has({ firstPage: 9, count: 2 })).toBe(false);
    expect(queue.has({ firstPage: -1, count: 1 })).toBe(false);
  });
});
