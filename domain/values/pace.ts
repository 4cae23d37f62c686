// Work at a rate: whoever does a piece waits until those before it have had their time.

import { assert } from './assert.ts';

const A_SECOND_MS = 1000;

/** Lets bytes through at a rate, for all who ask together. Time in which nobody asked is not made up for. */
export class Pace {
  readonly #bytesPerSecond: number;
  readonly #now: () => number;
  readonly #wait: (ms: number) => Promise<void>;
  /** When the pieces so far have had their time. */
  #freeAtMs = 0;

  constructor(request: {
    readonly bytesPerSecond: number;
    readonly now: () => number;
    readonly wait: (ms: number) => Promise<void>;
  }) {
    assert(request.bytesPerSecond > 0, 'a pace lets something through');
    this.#bytesPerSecond = request.bytesPerSecond;
    this.#now = request.now;
    this.#wait = request.wait;
  }

  /** Waits until so much may be done. */
  async take(bytes: number): Promise<void> {
    const now = this.#now();
    const start = Math.max(now, this.#freeAtMs);
    this.#freeAtMs = start + (bytes / this.#bytesPerSecond) * A_SECOND_MS;
    if (start > now) await this.#wait(start - now);
  }
}
