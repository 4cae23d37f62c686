// Memory of a guest that tells which of its frames whoever looks at it comes upon.

import type { GuestPages } from '../ports/guest-pages.ts';

export class NotedPages implements GuestPages {
  readonly #pages: GuestPages;
  readonly #note: (frame: number, isRead: boolean) => void;

  /** `note` is told of each frame that is read, or of which is asked whether it is memory, in that order. */
  constructor(pages: GuestPages, note: (frame: number, isRead: boolean) => void) {
    this.#pages = pages;
    this.#note = note;
  }

  get frames(): number {
    return this.#pages.frames;
  }

  has(frame: number): boolean {
    this.#note(frame, false);
    return this.#pages.has(frame);
  }

  read(frames: readonly number[]): Promise<Uint8Array> {
    for (const frame of frames) this.#note(frame, true);
    return this.#pages.read(frames);
  }
}
