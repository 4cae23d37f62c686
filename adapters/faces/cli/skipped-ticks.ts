// Ticks that a recorder lets go by are told of at once when they begin to, and then summed up, in one line a
// minute: a recorder of days is no reason for a log of one line a tick.

const A_MINUTE_MS = 60_000;

export class SkippedTicks {
  readonly #every: string;
  readonly #warn: (sentence: string) => void;
  readonly #now: () => number;
  #ticks = 0;
  #toldMs = -Infinity;

  constructor(every: string, warn: (sentence: string) => void, now = () => performance.now()) {
    this.#every = every;
    this.#warn = warn;
    this.#now = now;
  }

  /** So many went by while a capture was taken. */
  add(ticks: number): void {
    this.#ticks += ticks;
    if (this.#now() - this.#toldMs >= A_MINUTE_MS) this.end();
  }

  /** Tells of those that were not told of. */
  end(): void {
    if (this.#ticks === 0) return;
    const [count, were] = this.#ticks === 1 ? ['1 tick', 'was'] : [`${this.#ticks} ticks`, 'were'];
    this.#warn(`${count} of --every ${this.#every} went by during captures and ${were} skipped`);
    this.#ticks = 0;
    this.#toldMs = this.#now();
  }
}
