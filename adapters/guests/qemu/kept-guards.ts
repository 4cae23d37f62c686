// Guards of many guests between captures: a guard is a process, and not every guest keeps one.

import type { Guard } from './guard.ts';

type Ending = Pick<Guard, 'close'>;

/** How many guards wait for their guests' next captures. */
const GUARDS_MAX = 16;

/** The guards of guests that one process records; those that rested longest end first. */
export class KeptGuards {
  readonly #max: number;
  readonly #resting = new Set<Ending>();

  constructor(max = GUARDS_MAX) {
    this.#max = max;
  }

  /** A guard is about to watch. */
  wake(guard: Ending): void {
    this.#resting.delete(guard);
  }

  /** A guard watches nothing for now. */
  rest(guard: Ending): void {
    this.#resting.add(guard);
    for (const oldest of this.#resting) {
      if (this.#resting.size <= this.#max) return;
      this.#resting.delete(oldest);
      oldest.close();
    }
  }
}
