// How much of a thread's time goes into work that others could do for it.

/** So much work at once is little, however long nothing came before it. */
const BURST_MS = 250;
/** Of each millisecond since, what work may take of it without being held to be much. */
const SHARE = 0.5;

export class WorkShare {
  readonly #now: () => number;
  /** Work that was done beyond the share of the time since. */
  #surplusMs = 0;
  #untilMs = 0;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  #surplusAt(nowMs: number): number {
    return Math.max(0, this.#surplusMs - SHARE * (nowMs - this.#untilMs));
  }

  /** Does some of the work. */
  take<A>(work: () => A): A {
    const startMs = this.#now();
    const surplusMs = this.#surplusAt(startMs);
    try {
      return work();
    } finally {
      this.#untilMs = this.#now();
      this.#surplusMs = surplusMs + this.#untilMs - startMs;
    }
  }

  /** Whether the work is so much that others had better do it. */
  isMuch(): boolean {
    return this.#surplusAt(this.#now()) > BURST_MS;
  }
}
