// Memory that is read in its order is made a window at a time: blocks of neighbours are decoded together,
// and once, and the next window while the one before is sent. Who goes on for a while where he ended is
// taken to read on; who asks for much is after a second part of a window already, and when he comes from
// the window before. What cannot be made so is left to be read as it is asked for, which tells why, and
// waits where there is something to wait for.

import { assert } from '../../values/assert.ts';
import { RecentMap } from '../../values/recent-map.ts';
import type { LentBytes } from '../../values/spares.ts';
import { WINDOW_PAGES, type Window, type WindowPool } from './window-pool.ts';

/** From so many pages on a part is much; who read as many in a row reads on. */
export const PART_PAGES = 32;
/** Windows of one memory of which it is remembered that a part was asked for. */
const ASKED_MAX = 1024;
/** Readers of one memory of whom it is remembered where they would go on. */
const READERS_MAX = 64;

/** Makes pages, PAGE_BYTES each, in memory that may hold anything. What it throws is met otherwise. */
export type FillWindow = (
  firstPage: number,
  pages: number,
  into: SharedArrayBuffer,
) => Promise<void>;

export class ReadAhead {
  readonly #pool: WindowPool;
  readonly #memory: number;
  readonly #pages: number;
  readonly #fill: FillWindow;
  readonly #isZero: (page: number) => boolean;
  /** Windows of which much was asked for. */
  readonly #asked = new RecentMap<number, true>({ max: ASKED_MAX });
  /** By the page that a reader would go on with: how many he read in a row before it. */
  readonly #readers = new RecentMap<number, number>({ max: READERS_MAX });

  constructor(
    pool: WindowPool,
    of: {
      readonly pages: number;
      readonly fill: FillWindow;
      /** Zeros are passed over by some who read all in its order. */
      readonly isZero: (page: number) => boolean;
    },
  ) {
    this.#pool = pool;
    this.#memory = pool.name();
    this.#pages = of.pages;
    this.#fill = of.fill;
    this.#isZero = of.isZero;
  }

  /** Takes note of a reading, however it is answered; how many pages were read in a row before it. */
  note(firstPage: number, pages: number): number {
    const before = this.#readers.delete(firstPage) ?? 0;
    let next = firstPage + pages;
    const end = Math.min(this.#pages, next + WINDOW_PAGES);
    while (next < end && this.#isZero(next)) next += 1;
    this.#readers.set(next, before + pages);
    return before;
  }

  /** Pages out of a window, of which `before` were read in a row before; null: they are to be read for themselves. */
  async read(firstPage: number, pages: number, before: number): Promise<LentBytes | null> {
    assert(pages > 0 && firstPage + pages <= this.#pages, 'what is read lies in the memory');
    const isReadOn = before >= PART_PAGES;
    const number = Math.floor(firstPage / WINDOW_PAGES);
    const window = this.#windowOf(number, { firstPage, pages, isReadOn });
    if (isReadOn) this.#ahead(number + 1);
    return window === null ? null : this.#pool.lend(window, { firstPage, pages });
  }

  /** The window that has all of some pages, where there is one or it is time to make it. */
  #windowOf(
    number: number,
    of: { readonly firstPage: number; readonly pages: number; readonly isReadOn: boolean },
  ): Window | null {
    const { firstPage, pages, isReadOn } = of;
    if (firstPage + pages > this.#endOf(number)) return null;
    const kept = this.#pool.get(this.#memory, number);
    if (kept !== undefined) return kept.firstPage <= firstPage ? kept : null;
    if (!isReadOn && !this.#isToBeReadOn(number, pages)) return null;
    return this.#make(number, firstPage);
  }

  /** Whether much was asked for, again, of this window, or of the one before. */
  #isToBeReadOn(number: number, pages: number): boolean {
    if (pages < PART_PAGES) return false;
    const isSecond = this.#asked.get(number) !== undefined;
    this.#asked.set(number, true);
    return isSecond || this.#pool.get(this.#memory, number - 1) !== undefined;
  }

  /** Has a window made before anybody asks for it. */
  #ahead(number: number): void {
    const firstPage = number * WINDOW_PAGES;
    if (firstPage >= this.#pages || this.#pool.get(this.#memory, number) !== undefined) return;
    this.#make(number, firstPage);
  }

  #endOf(number: number): number {
    return Math.min(this.#pages, (number + 1) * WINDOW_PAGES);
  }

  #make(number: number, firstPage: number): Window | null {
    const pages = this.#endOf(number) - firstPage;
    const fill = (room: SharedArrayBuffer): Promise<void> => this.#fill(firstPage, pages, room);
    return this.#pool.make(this.#memory, number, { firstPage, pages, fill });
  }
}
