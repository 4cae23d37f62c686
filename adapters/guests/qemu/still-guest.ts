// A guest that was captured and stands still until somebody says what becomes of it.

import type { captureOwnPages } from './own-pages.ts';

type Taken = NonNullable<Awaited<ReturnType<typeof captureOwnPages>>>;

/** The time between a capture and what becomes of the guest. */
export class Still {
  readonly taken: Promise<Taken>;
  #take: (taken: Taken) => void = () => undefined;
  #end: (next: 'go on' | 'stand') => void = () => undefined;
  readonly #ended: Promise<'go on' | 'stand'>;

  constructor() {
    this.taken = new Promise((resolve) => {
      this.#take = resolve;
    });
    this.#ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  /** Says what was captured; waits for what becomes of the guest. */
  with(taken: Taken): Promise<'go on' | 'stand'> {
    this.#take(taken);
    return this.#ended;
  }

  end(next: 'go on' | 'stand'): void {
    this.#end(next);
  }
}
