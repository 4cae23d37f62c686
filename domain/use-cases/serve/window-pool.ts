// The memory that is read ahead into: windows of one size, so many of all memories that somebody reads
// together. Each lies in a room, which is used again when nobody reads it any more, since memory that was
// never touched costs more than what is made in it does.

import { assert } from '../../values/assert.ts';
import { PAGE_BYTES } from '../../values/page.ts';
import { RecentMap } from '../../values/recent-map.ts';
import type { LentBytes } from '../../values/spares.ts';

/** Pages of a window (1 MiB): all of one stays in memory while a part of it is sent. */
export const WINDOW_PAGES = 256;
/** Rooms of a pool (48 MiB). */
const ROOMS_MAX = 48;

/** Where a window begins, and who makes its pages in a room that may hold anything. */
export interface WindowMaking {
  readonly firstPage: number;
  readonly pages: number;
  /** What it throws is met otherwise. */
  readonly fill: (room: SharedArrayBuffer) => Promise<void>;
}

/** The end of a window, from the first part on that was asked for once it was known to be read on. */
export class Window {
  readonly key: string;
  readonly firstPage: number;
  readonly room: SharedArrayBuffer;
  /** Null: it could not be made. */
  readonly bytes: Promise<Uint8Array | null>;
  /** Who makes it, or reads it. */
  users = 0;

  constructor(key: string, room: SharedArrayBuffer, { firstPage, pages, fill }: WindowMaking) {
    this.key = key;
    this.firstPage = firstPage;
    this.room = room;
    this.bytes = fill(room).then(
      () => new Uint8Array(room, 0, pages * PAGE_BYTES),
      () => null,
    );
  }
}

/** The windows of many memories. */
export class WindowPool {
  readonly #kept = new RecentMap<string, Window>({ max: ROOMS_MAX });
  /** Rooms that nothing lies in, and how many there are in all. */
  readonly #free: SharedArrayBuffer[] = [];
  #rooms = 0;
  #memories = 0;

  /** What the next memory's windows are known by. */
  name(): number {
    return (this.#memories += 1);
  }

  get(memory: number, number: number): Window | undefined {
    return this.#kept.get(`${memory}/${number}`);
  }

  /** Has a window made that is not there; null: all rooms are being read. */
  make(memory: number, number: number, how: WindowMaking): Window | null {
    const key = `${memory}/${number}`;
    assert(this.#kept.get(key) === undefined, 'a window that is kept is not made again');
    const room = this.#room();
    if (room === null) return null;
    const window = new Window(key, room, how);
    this.#kept.set(key, window);
    void this.#whileMade(window);
    return window;
  }

  /** Reads a part of a window; null: it could not be made. */
  async lend(
    window: Window,
    { firstPage, pages }: Pick<WindowMaking, 'firstPage' | 'pages'>,
  ): Promise<LentBytes | null> {
    window.users += 1;
    const bytes = await window.bytes;
    if (bytes === null) {
      this.#leave(window);
      return null;
    }
    const from = (firstPage - window.firstPage) * PAGE_BYTES;
    return {
      bytes: bytes.subarray(from, from + pages * PAGE_BYTES),
      giveBack: () => {
        this.#leave(window);
      },
    };
  }

  /** A room that nothing lies in, of the window that was read least recently if there is no other. */
  #room(): SharedArrayBuffer | null {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    if (this.#rooms < ROOMS_MAX) {
      this.#rooms += 1;
      return new SharedArrayBuffer(WINDOW_PAGES * PAGE_BYTES);
    }
    for (const window of this.#kept.values())
      if (window.users === 0) {
        this.#kept.delete(window.key);
        return window.room;
      }
    return null;
  }

  /** It is not kept where it turns out that it cannot be made. */
  async #whileMade(window: Window): Promise<void> {
    window.users += 1;
    if ((await window.bytes) === null) this.#kept.delete(window.key);
    this.#leave(window);
  }

  #leave(window: Window): void {
    assert(window.users > 0, 'what is given back was lent');
    window.users -= 1;
    if (window.users === 0 && !this.#isKept(window)) this.#free.push(window.room);
  }

  #isKept(window: Window): boolean {
    return this.#kept.get(window.key) === window;
  }
}
