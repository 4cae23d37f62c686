// Memory that is read in its order, some hundred kilobytes at a time, is made a window at a time: blocks
// of neighbours are decoded together, and once. Who asks for a second part of a window is taken to read
// on, and so is who comes from the window before. What cannot be made so is left to be read as it is
// asked for, which tells why, and waits where there is something to wait for.
//
// Memory: the windows of a pool, and what of others is being sent.

import { assert } from '../../values/assert.ts';
import { PAGE_BYTES } from '../../values/page.ts';
import { RecentMap } from '../../values/recent-map.ts';

/** Pages of a window (1 MiB): all of one stays in memory while a part of it is sent. */
export const WINDOW_PAGES = 256;
/** Windows of one memory of which it is remembered that a part was asked for. */
const ASKED_MAX = 1024;
/** Windows that a pool keeps. */
const KEPT_MAX = 32;

/** The end of a window, from the first part on that was asked for once it was known to be read on. */
interface Window {
  readonly firstPage: number;
  /** Null: it could not be made. */
  readonly bytes: Promise<Uint8Array | null>;
}

/** The windows of many memories: so many are kept of all of them together. */
export class WindowPool {
  readonly #kept = new RecentMap<string, Window>({ max: KEPT_MAX });
  #memories = 0;

  /** What the next memory's windows are known by. */
  name(): number {
    return (this.#memories += 1);
  }

  get(memory: number, window: number): Window | undefined {
    return this.#kept.get(`${memory}/${window}`);
  }

  /** Keeps a window, unless it turns out that it cannot be made. */
  keep(memory: number, number: number, window: Window): void {
    const key = `${memory}/${number}`;
    this.#kept.set(key, window);
    void this.#drop(key, window);
  }

  async #drop(key: string, window: Window): Promise<void> {
    const isMade = (await window.bytes) !== null;
    if (!isMade && this.#kept.get(key) === window) this.#kept.delete(key);
  }
}

/** Makes pages, PAGE_BYTES each, in memory of zeros. What it throws is met otherwise. */
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
  /** Windows of which a part was asked for. */
  readonly #asked = new RecentMap<number, true>({ max: ASKED_MAX });

  constructor(
    pool: WindowPool,
    { pages, fill }: { readonly pages: number; readonly fill: FillWindow },
  ) {
    this.#pool = pool;
    this.#memory = pool.name();
    this.#pages = pages;
    this.#fill = fill;
  }

  /** Pages out of a window; null: they are to be read for themselves. */
  async read(firstPage: number, pages: number): Promise<Uint8Array | null> {
    assert(pages > 0 && firstPage + pages <= this.#pages, 'what is read lies in the memory');
    const window = this.#windowOf(firstPage, firstPage + pages);
    const bytes = window === null ? null : await window.bytes;
    if (window === null || bytes === null) return null;
    const from = (firstPage - window.firstPage) * PAGE_BYTES;
    return bytes.subarray(from, from + pages * PAGE_BYTES);
  }

  /** The window that has all of some pages, where there is one or it is time to make it. */
  #windowOf(firstPage: number, endPage: number): Window | null {
    const number = Math.floor(firstPage / WINDOW_PAGES);
    const end = Math.min(this.#pages, (number + 1) * WINDOW_PAGES);
    if (endPage > end) return null;
    const kept = this.#pool.get(this.#memory, number);
    if (kept !== undefined) return kept.firstPage <= firstPage ? kept : null;
    const isReadOn = this.#asked.get(number) ?? this.#pool.get(this.#memory, number - 1);
    this.#asked.set(number, true);
    if (isReadOn === undefined) return null;
    const room = new SharedArrayBuffer((end - firstPage) * PAGE_BYTES);
    const bytes = this.#fill(firstPage, end - firstPage, room).then(
      () => new Uint8Array(room),
      () => null,
    );
    const window = { firstPage, bytes };
    this.#pool.keep(this.#memory, number, window);
    return window;
  }
}
