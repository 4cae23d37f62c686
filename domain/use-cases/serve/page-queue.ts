// Which pages a guest is given next, while it runs and its memory still arrives. What it waits for goes
// before all else: the block of the page, that page first. Then comes what an earlier restore asked for,
// with its blocks, which this guest will ask for soon, then the rests of the storage blocks of which a part
// was asked for, now and then earlier, then everything, in the order in which it is stored. No page is
// given twice, and zeros only when they are asked for: what was never given reads as zeros in the end. Pages
// may be withheld for a while: each of these is given when it is asked for, alone, so that its first access
// is seen.

import { assert } from '../../values/assert.ts';
import { ZERO } from '../../values/holding.ts';
import { NumberQueue } from '../../values/number-queue.ts';
import type { PageDemand } from '../../ports/arriving-guest.ts';
import type { PageNeighbours } from './page-neighbours.ts';

/** Why pages are given unasked. */
export type Unasked = 'filled' | 'prefetched' | 'pushed';

/** Most pages that come with one that is waited for. */
const ANSWER_PAGES_MAX = 64;
/** Most pages of a storage block, or of what is prefetched or pushed, that are given as one. */
export const FILL_PAGES_MAX = 64;
export const PUSH_PAGES_MAX = 1024;

export interface PageQueueRequest {
  /** What each page holds. */
  readonly table: Uint32Array;
  readonly neighbours: PageNeighbours;
  /** Where [page] is 1 it is given only when it is asked for, and alone, until `release`; absent: none is. */
  readonly withheld?: Uint8Array;
}

/** Pages to give before they are asked for, from one on, with what lies around them. */
interface Prefetch {
  readonly pages: Uint32Array;
  readonly around: (page: number) => Uint32Array;
  /** Whether these lie farther away, so that what is asked for now comes before them. */
  readonly isFar: boolean;
  /** Whether they are given before others, and with none of them. */
  readonly isFirst: boolean;
  /** Pages around which was looked already. */
  readonly looked: Set<number>;
  at: number;
}

/** Pages without what lies around them. */
const aloneOf = (pages: Uint32Array, of: Pick<Prefetch, 'isFirst'>): Prefetch => ({
  ...of,
  pages,
  around: () => new Uint32Array(0),
  isFar: false,
  looked: new Set(),
  at: 0,
});

export class PageQueue {
  readonly #table: Uint32Array;
  readonly #neighbours: PageNeighbours;
  /** Whether each page was given, and whether it is on its way as an answer. */
  readonly #given: Uint8Array;
  readonly #answering: Uint8Array;
  /** What is given only when it is asked for; null: nothing is, any more. */
  #withheld: Uint8Array | null;
  readonly #asked: NumberQueue;
  /** Pages whose storage blocks come behind them, in the order in which these are to be given. */
  readonly #behind = new Set<number>();
  readonly #prefetch: Prefetch[] = [];
  /** Pages that hold something, and those of them that were given. */
  #pageCount = 0;
  #givenCount = 0;
  /** What is pushed: where its next part comes from, and how far the one under way is. Null: nothing is. */
  #push: { readonly parts: Iterator<Uint32Array>; part: Uint32Array | null; at: number } | null =
    null;

  constructor({ table, neighbours, withheld }: PageQueueRequest) {
    assert(withheld === undefined || withheld.length === table.length, 'a page is withheld or not');
    this.#table = table;
    this.#neighbours = neighbours;
    this.#given = new Uint8Array(table.length);
    this.#answering = new Uint8Array(table.length);
    this.#withheld = withheld ?? null;
    this.#asked = new NumberQueue(table.length);
    for (let page = 0; page < table.length; page += 1)
      if (table[page] !== ZERO) this.#pageCount += 1;
  }

  /** Takes note of what the guest has already: where [page] is 1. */
  had(given: Uint8Array): void {
    assert(given.length === this.#table.length, 'a page is given or not');
    for (let page = 0; page < given.length; page += 1) if (given[page] === 1) this.#note(page);
  }

  /** Whether a page is one of the guest's. */
  has({ firstPage, count }: PageDemand): boolean {
    return firstPage >= 0 && count > 0 && firstPage + count <= this.#table.length;
  }

  /** Takes a demand in; how many of its pages the guest lacks. */
  demand({ firstPage, count }: PageDemand): number {
    let lacking = 0;
    for (let page = firstPage; page < firstPage + count; page += 1) {
      if (this.#given[page] === 1) continue;
      lacking += 1;
      if (this.#answering[page] === 0) this.#asked.add(page);
    }
    return lacking;
  }

  /**
   * Pages to give when nothing is asked for: first all of them with the blocks that they lie in, then
   * their storage blocks, in the order in which they were `asked` for: these are much, and a guest that
   * runs meanwhile asks as the one before did. It asked for one page of each, as the others came with it.
   */
  prefetch(pages: Uint32Array, asked: Uint32Array = pages): void {
    const neighbours = this.#neighbours;
    const begun = () => ({ isFirst: false, looked: new Set<number>(), at: 0 });
    this.#prefetch.push(
      { pages, around: (page) => neighbours.block(page), isFar: false, ...begun() },
      { pages: asked, around: (page) => neighbours.storageBlock(page), isFar: true, ...begun() },
    );
  }

  /** Likewise pages that are all that a guest uses: each alone, as nothing beside them is asked for. */
  prefetchAlone(pages: Uint32Array): void {
    this.#prefetch.push(aloneOf(pages, { isFirst: false }));
  }

  /** Likewise pages that the guest needs before all others: at most FILL_PAGES_MAX, which are given as one. */
  prefetchFirst(pages: Uint32Array): void {
    assert(pages.length <= FILL_PAGES_MAX, 'a few pages are needed first');
    this.#prefetch.unshift(aloneOf(pages, { isFirst: true }));
  }

  /** Whether something is left of what is to be prefetched. */
  get hasPrefetch(): boolean {
    return this.#prefetch.length > 0;
  }

  /** Everything is to be given from now on. */
  push(): void {
    if (this.#push !== null) return;
    this.#push = { parts: this.#neighbours.inStorageOrder(), part: new Uint32Array(0), at: 0 };
  }

  /** What was withheld is given as all else from now on. */
  release(): void {
    if (this.#withheld === null) return;
    this.#withheld = null;
    if (this.#push === null) return;
    this.#push = null;
    this.push();
  }

  /** Whether anything is given only when it is asked for. */
  get isWithholding(): boolean {
    return this.#withheld !== null;
  }

  /** Whether nothing is left to give but what is withheld, and zeros. */
  get isAheadGiven(): boolean {
    return this.#push?.part === null && this.#asked.length === 0 && this.#behind.size === 0;
  }

  /** Whether a page is waited for that nobody answers yet. */
  get isAsked(): boolean {
    return this.#asked.length > 0;
  }

  /** The answer to the oldest demand: the page first, then others of its block. Null: there is none. */
  answer(): Uint32Array | null {
    for (let page = this.#asked.take(); page !== undefined; page = this.#asked.take()) {
      if (this.#given[page] === 1 || this.#answering[page] === 1) continue;
      if (this.#withheld?.[page] === 1) {
        this.#answering[page] = 1;
        return Uint32Array.of(page);
      }
      const answer = [page];
      for (const other of this.#neighbours.block(page)) {
        if (answer.length === ANSWER_PAGES_MAX) break;
        if (other !== page && this.#isFree(other)) answer.push(other);
      }
      for (const each of answer) this.#answering[each] = 1;
      this.#behind.add(page);
      return Uint32Array.from(answer);
    }
    return null;
  }

  /** Whether a page may be given unasked. */
  #isFree(page: number): boolean {
    return this.#given[page] === 0 && this.#answering[page] === 0 && this.#withheld?.[page] !== 1;
  }

  /** Whether something may be left to give before what is pushed. */
  get hasNear(): boolean {
    return this.#prefetch.length > 0 || this.#behind.size > 0;
  }

  /** The next pages to give that an earlier restore or the guest's demands tell of; null: none for now. */
  near(): { readonly pages: Uint32Array; readonly why: Unasked } | null {
    const prefetched = this.#nextPrefetched({ isFar: false });
    if (prefetched.length > 0) return { pages: prefetched, why: 'prefetched' };
    for (const page of this.#behind) {
      const block = this.#neighbours.storageBlock(page);
      const rest = block.filter((each) => this.#isFree(each));
      // What does not fit is come back to; else others of the block have nothing left to bring.
      if (rest.length <= FILL_PAGES_MAX) for (const each of block) this.#behind.delete(each);
      if (rest.length > 0) return { pages: rest.subarray(0, FILL_PAGES_MAX), why: 'filled' };
    }
    const far = this.#nextPrefetched({ isFar: true });
    return far.length > 0 ? { pages: far, why: 'prefetched' } : null;
  }

  /** The next of all pages, once they are pushed; null: there are none for now. */
  pushed(): { readonly pages: Uint32Array; readonly why: Unasked } | null {
    const pages = this.#nextPushed();
    return pages.length > 0 ? { pages, why: 'pushed' } : null;
  }

  #nextPrefetched({ isFar }: Pick<Prefetch, 'isFar'>): Uint32Array {
    const chosen = new Set<number>();
    for (const next of this.#prefetch.filter((each) => each.isFar === isFar)) {
      while (next.at < next.pages.length && this.#choose(next, chosen)) next.at += 1;
      if (next.at < next.pages.length) break;
      this.#prefetch.splice(this.#prefetch.indexOf(next), 1);
      if (next.isFirst && chosen.size > 0) break;
    }
    return Uint32Array.from(chosen);
  }

  /** Takes the next page in, it first, and what lies around it; false: there is no room for that yet. */
  #choose({ pages, at, around, looked }: Prefetch, chosen: Set<number>): boolean {
    const page = pages[at]!;
    if (page >= this.#table.length || looked.has(page)) return true;
    const near = [page, ...around(page)];
    const free = near.filter((each) => this.#isFree(each));
    if (chosen.size > 0 && chosen.size + free.length > PUSH_PAGES_MAX) return false;
    // Around what lies around it the same lies.
    for (const each of near) looked.add(each);
    for (const each of free) if (chosen.size < PUSH_PAGES_MAX) chosen.add(each);
    return true;
  }

  #nextPushed(): Uint32Array {
    const next = new Uint32Array(PUSH_PAGES_MAX);
    let count = 0;
    for (let page = this.#nextToPush(); page !== null; page = this.#nextToPush()) {
      if (!this.#isFree(page)) continue;
      next[count++] = page;
      if (count === PUSH_PAGES_MAX) break;
    }
    return next.subarray(0, count);
  }

  /** The next page in the order in which all are pushed; null: none is left, or nothing is pushed. */
  #nextToPush(): number | null {
    const push = this.#push;
    if (push === null) return null;
    while (push.part !== null && push.at === push.part.length) {
      const next = push.parts.next();
      push.part = next.done === true ? null : next.value;
      push.at = 0;
    }
    return push.part === null ? null : push.part[push.at++]!;
  }

  /** Those of these that were not given before, which are from now on; their order stays. */
  give(pages: Uint32Array): Uint32Array {
    const news = pages.filter((page) => this.#given[page] === 0);
    for (const page of news) this.#note(page);
    return news;
  }

  #note(page: number): void {
    this.#given[page] = 1;
    if (this.#table[page] !== ZERO) this.#givenCount += 1;
  }

  /** What a page holds. */
  holdingOf(page: number): number {
    return this.#table[page]!;
  }

  /** Whether nothing is left to give but zeros that nobody asks for. */
  get isDone(): boolean {
    return this.isAheadGiven && !this.isWithholding;
  }

  /** Pages that hold something, and how many of these the guest has. */
  get progress(): { readonly pages: number; readonly pageCount: number } {
    return { pages: this.#givenCount, pageCount: this.#pageCount };
  }
}
