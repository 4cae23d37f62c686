// The pages of a ledger, as their VMs had them: patterns made, patches put onto their references. All
// who read pages read them here: a few into memory, at once; whole tables into a file; or in the order
// of their numbers, for a pipe or a stream, in bounded memory. A few go before many: what somebody
// waits for is read while a memory is restored.
//
// Compaction may move what is read: then the work is done once more where it lies now.

import { assert } from '../../values/assert.ts';
import { ZERO, type Holding } from '../../values/holding.ts';
import { PAGE_BYTES } from '../../values/page.ts';
import { sharedMemory, type PageRun } from '../../ports/guests.ts';
import type { PageEngine } from '../../ports/page-engine.ts';
import type { PageStore } from '../../ports/page-store.ts';
import type { PageLocator } from '../../ports/models.ts';
import { publicPattern } from '../../patterns/public-patterns.ts';
import { DecodedBlocks } from './decoded-blocks.ts';
import { followingMoves } from './moved-packs.ts';
import { fillPages, type FillPages, type FillTarget, type Losses } from './page-filler.ts';
import { PLAN_PAGES_MAX, planPages } from './page-plan.ts';
import { assertWhole } from './patch-chain.ts';
import { UrgentFirst } from './urgent-first.ts';

/** Failures to read a part of a pack, after which others of it may be whole. */
const DAMAGED = ['PACK_DAMAGED', 'PACK_UNREADABLE'] as const;
const CACHE_BYTES = 64 * 1024 * 1024;
/** Pages in memory at once, twice, where they are read in order (16 MiB). */
const ORDERED_PAGES = 4096;

export interface PageReaderPorts {
  readonly engine: PageEngine;
  readonly store: PageStore;
  readonly locator: () => PageLocator;
  /** Learns where content lies now; absent: nothing moves. */
  readonly catchUp?: () => Promise<void>;
}

/** Many pages: what each holds, from the first one wanted on. */
export interface BulkRequest {
  readonly table: Uint32Array;
  /** What a message calls the point. */
  readonly label: string;
  readonly onProgress?: (progress: { readonly pages: number; readonly pageCount: number }) => void;
  /**
   * Is told which pages are lost, ascending, some at a time: they read as zeros. Absent: the first one
   * that is lost is thrown.
   */
  readonly onLost?: (pages: Uint32Array) => void;
}

/** A window of a table that is filled in as one. */
interface Window {
  readonly first: number;
  readonly end: number;
}

function* windowsOf(table: Uint32Array, pagesMax: number): Generator<Window> {
  for (let first = 0; first < table.length; first += pagesMax)
    yield { first, end: Math.min(table.length, first + pagesMax) };
}

function xorOnto(page: Uint8Array, mask: Uint8Array): void {
  for (let i = 0; i < PAGE_BYTES; i += 1) page[i]! ^= mask[i]!;
}

/** Stretches of a window that hold something: all but zeros and what was lost. */
function* runsIn(table: Uint32Array, { first, end }: Window, lost: Uint32Array): Generator<Window> {
  const isAbsent = new Uint8Array(end - first);
  for (const page of lost) isAbsent[page - first] = 1;
  const isSome = (page: number): boolean => table[page] !== ZERO && isAbsent[page - first] === 0;
  for (let from = first; from < end;) {
    let to = from;
    while (to < end && isSome(to)) to += 1;
    if (to > from) yield { first: from, end: to };
    from = to + 1;
  }
}

export class PageReader {
  readonly #ports: PageReaderPorts;
  readonly #blocks: DecodedBlocks;
  readonly #order = new UrgentFirst();

  constructor(ports: PageReaderPorts, cacheBytesMax = CACHE_BYTES) {
    this.#ports = ports;
    this.#blocks = new DecodedBlocks(ports, { bytesMax: cacheBytesMax });
  }

  /**
   * The pages of holdings, PAGE_BYTES each, in their order, into `into`; before all bulk work. They are
   * decoded on the caller's thread: for few pages. POINT_DAMAGED, PACK_MISSING, PACK_DAMAGED.
   */
  async read(holdings: ArrayLike<Holding>, into: Uint8Array): Promise<Uint8Array> {
    assert(into.length >= holdings.length * PAGE_BYTES, 'there is room for every page');
    return this.#order.urgent(() =>
      followingMoves(this.#ports.catchUp, () => this.#read(holdings, into)),
    );
  }

  async #read(holdings: ArrayLike<Holding>, into: Uint8Array): Promise<Uint8Array> {
    const locator = this.#ports.locator();
    const { made, passes } = planPages(locator, holdings, null);
    const pageAt = (page: number): Uint8Array =>
      into.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
    for (let page = 0; page < holdings.length; page += 1)
      if (holdings[page] === ZERO) pageAt(page).fill(0);
    for (const [pattern, pages] of made) {
      const whole = this.#publicPage(pattern);
      for (const page of pages) pageAt(page).set(whole);
    }
    for (const [number, { places, pages }] of passes.entries())
      await this.#blocks.each(locator, places, (index, stored) => {
        if (number === 0) pageAt(pages[index]!).set(stored);
        else xorOnto(pageAt(pages[index]!), stored);
      });
    return into;
  }

  #publicPage(pattern: Holding): Uint8Array {
    const { engine } = this.#ports;
    const { bytes, ...blocks } = engine.encodePatterns([publicPattern(pattern)]);
    return engine.decode({ bytes, blocks, label: `pattern ${pattern}` });
  }

  /**
   * Writes the pages of a table into a file of zeros, page n at n * PAGE_BYTES from `offsetBytes` on;
   * zeros are left out. POINT_DAMAGED, PACK_MISSING, PACK_DAMAGED, DISK_FULL.
   */
  async fill(request: BulkRequest, target: FillTarget): Promise<void> {
    const { table, onLost } = request;
    this.#refuseLost(request);
    for (const window of windowsOf(table, PLAN_PAGES_MAX)) {
      const lost = await this.#window(request, window, { target, firstPage: window.first });
      if (lost.length > 0) onLost?.(lost);
    }
  }

  /**
   * The pages of a table in the order of their numbers, in runs; a page in none of them is zeros, or
   * lost. The next ones are read while a run is used. Blocks are read once for each few thousand pages.
   * POINT_DAMAGED, PACK_MISSING, PACK_DAMAGED.
   */
  async *inOrder(request: BulkRequest): AsyncGenerator<PageRun> {
    const { table, onLost } = request;
    this.#refuseLost(request);
    const rooms = [0, 1].map(
      () => new SharedArrayBuffer(Math.min(table.length, ORDERED_PAGES) * PAGE_BYTES),
    );
    const filled = async (window: Window, room: SharedArrayBuffer) => {
      const target = { file: sharedMemory(room), offsetBytes: 0 };
      const lost = await this.#window(request, window, { target, firstPage: 0 });
      return { window, room, lost };
    };
    let ahead: ReturnType<typeof filled> | null = null;
    try {
      let number = 0;
      for (const window of [...windowsOf(table, ORDERED_PAGES), null]) {
        const ready = await ahead;
        ahead = window === null ? null : filled(window, rooms[number % 2]!);
        // Its failure is met when it is asked for.
        ahead?.catch(() => undefined);
        number += 1;
        if (ready === null) continue;
        if (ready.lost.length > 0) onLost?.(ready.lost);
        for (const { first, end } of runsIn(table, ready.window, ready.lost)) {
          const at = (first - ready.window.first) * PAGE_BYTES;
          const pages = new Uint8Array(ready.room, at, (end - first) * PAGE_BYTES);
          yield { firstPage: first, pages };
        }
      }
    } finally {
      // Nobody writes into memory that was given up.
      await ahead?.catch(() => undefined);
    }
  }

  #refuseLost({ table, label, onLost }: BulkRequest): void {
    if (onLost === undefined) assertWhole(table, label);
  }

  /** Fills a window in; the pages that are lost, as numbers of the table's. */
  async #window(
    { table, onProgress, onLost }: BulkRequest,
    { first, end }: Window,
    into: { readonly target: FillTarget; readonly firstPage: number },
  ): Promise<Uint32Array> {
    const { engine, store, locator, catchUp } = this.#ports;
    const holdings = table.subarray(first, end);
    const lost = await followingMoves(catchUp, (isAgain) => {
      let losses: Losses = null;
      if (onLost !== undefined) losses = isAgain ? [...DAMAGED, 'PACK_MISSING'] : DAMAGED;
      let done = first;
      const onPages = (pages: number): void => {
        done += pages;
        onProgress?.({ pages: done, pageCount: table.length });
      };
      const request: FillPages = { holdings, ...into, onPages };
      return fillPages({ engine, store, locator: locator(), order: this.#order }, request, losses);
    });
    return lost.map((page) => first + page);
  }
}
