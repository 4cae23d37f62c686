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
import type { ReadPack } from '../../ports/models.ts';
import { blockStarts, type BlockStarts } from '../../values/pack.ts';
import { RecentMap } from '../../values/recent-map.ts';
import { DecodedBlocks } from './decoded-blocks.ts';
import { readKept, xorOnto } from './kept-pages.ts';
import { followingMoves } from './moved-packs.ts';
import { wholeBatch } from './page-batches.ts';
import {
  fillPages,
  patternBlockOf,
  type FillPages,
  type FillTarget,
  type Losses,
} from './page-filler.ts';
import { PLAN_PAGES_MAX, planPages } from './page-plan.ts';
import { assertWhole } from './patch-chain.ts';
import { UrgentFirst } from './urgent-first.ts';

/** Failures to read a part of a pack, after which others of it may be whole. */
const DAMAGED = ['PACK_DAMAGED', 'PACK_UNREADABLE'] as const;
const CACHE_BYTES = 64 * 1024 * 1024;
/** Packs whose blocks' starts are kept. */
const STARTS_MAX = 1024;
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

/** What a reader keeps from one reading to the next. */
interface Kept {
  readonly blocks: DecodedBlocks;
  readonly order: UrgentFirst;
  readonly starts: RecentMap<string, BlockStarts>;
}

const keptBy = (ports: PageReaderPorts, bytesMax: number): Kept => ({
  blocks: new DecodedBlocks(ports, { bytesMax }),
  order: new UrgentFirst(),
  starts: new RecentMap({ max: STARTS_MAX }),
});

export class PageReader {
  readonly #ports: PageReaderPorts;
  readonly #kept: Kept;

  constructor(ports: PageReaderPorts, kept: Kept | number = CACHE_BYTES) {
    this.#ports = ports;
    this.#kept = typeof kept === 'number' ? keptBy(ports, kept) : kept;
  }

  /** Reads what is found otherwise; what is decoded for one serves both, and bulk work of both waits for what is urgent. */
  finding(locator: () => PageLocator): PageReader {
    return new PageReader({ ...this.#ports, locator }, this.#kept);
  }

  /** Blocks that were read and decoded for `read` so far. */
  get blocksRead(): number {
    return this.#kept.blocks.readCount;
  }

  /**
   * The same as `read` at once, where all that the pages are made of is decoded already, or made; false:
   * it is not, and `into` holds no matter what. POINT_DAMAGED.
   */
  readKept(holdings: ArrayLike<Holding>, into: Uint8Array): boolean {
    const { blocks } = this.#kept;
    const startsOf = (pack: ReadPack): BlockStarts => this.#startsOf(pack);
    return readKept({ locator: this.#ports.locator(), startsOf, blocks }, holdings, into);
  }

  /**
   * The pages of holdings, PAGE_BYTES each, in their order, into `into`; before all bulk work. They are
   * decoded on the caller's thread: for few pages. POINT_DAMAGED, PACK_MISSING, PACK_DAMAGED.
   */
  async read(holdings: ArrayLike<Holding>, into: Uint8Array): Promise<Uint8Array> {
    assert(into.length >= holdings.length * PAGE_BYTES, 'there is room for every page');
    return this.#kept.order.urgent(() =>
      followingMoves(this.#ports.catchUp, () => this.#read(holdings, into)),
    );
  }

  async #read(holdings: ArrayLike<Holding>, into: Uint8Array): Promise<Uint8Array> {
    const { locator, engine } = this.#ports;
    const ports = {
      locator: locator(),
      patternBlock: patternBlockOf(engine),
      startsOf: (pack: ReadPack) => this.#startsOf(pack),
    };
    const plan = planPages(ports, holdings, null);
    const pageAt = (page: number): Uint8Array =>
      into.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
    for (let page = 0; page < holdings.length; page += 1)
      if (holdings[page] === ZERO) pageAt(page).fill(0);
    const batch = wholeBatch(plan);
    const isBegun = new Uint8Array(batch.pages.length);
    await this.#kept.blocks.each(plan, batch, (row, stored) => {
      const room = batch.rooms[row]!;
      const page = pageAt(batch.pages[room]!);
      if (isBegun[room] === 0) page.set(stored);
      else xorOnto(page, stored);
      isBegun[room] = 1;
    });
    return into;
  }

  #startsOf(pack: ReadPack): BlockStarts {
    const known = this.#kept.starts.get(pack.name);
    if (known !== undefined) return known;
    const starts = blockStarts(pack.blocks);
    this.#kept.starts.set(pack.name, starts);
    return starts;
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
    let holdings = table.subarray(first, end);
    const isDone = new Uint8Array(holdings.length);
    let done = 0;
    const onPages = (pages: Uint32Array): void => {
      for (const page of pages) isDone[page] = 1;
      done += pages.length;
      onProgress?.({ pages: first + done, pageCount: table.length });
    };
    const lost = await followingMoves(catchUp, (isAgain) => {
      let losses: Losses = null;
      if (onLost !== undefined) losses = isAgain ? [...DAMAGED, 'PACK_MISSING'] : DAMAGED;
      // What was made before a pack was found to be gone is not made again.
      if (done > 0)
        holdings = holdings.map((holding, page) => (isDone[page] === 1 ? ZERO : holding));
      const request: FillPages = { holdings, ...into, onPages };
      const startsOf = (pack: ReadPack): BlockStarts => this.#startsOf(pack);
      const ports = { engine, store, locator: locator(), order: this.#kept.order, startsOf };
      return fillPages(ports, request, losses);
    });
    return lost.map((page) => first + page);
  }
}
