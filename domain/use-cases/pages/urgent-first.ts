// Urgent work before bulk work: a page that somebody waits for is served while a whole memory is being
// restored. Bulk work is done in pieces, each of which begins when the urgent work has ended that was
// under way when its turn came; so bulk work goes on, too.

export class UrgentFirst {
  readonly #underWay = new Set<Promise<unknown>>();

  /** Runs work at once, and lets bulk work wait for it. */
  async urgent<A>(work: () => Promise<A>): Promise<A> {
    const running = work();
    this.#underWay.add(running);
    try {
      return await running;
    } finally {
      this.#underWay.delete(running);
    }
  }

  /** Runs a piece of bulk work. */
  async bulk<A>(work: () => Promise<A>): Promise<A> {
    if (this.#underWay.size > 0) await Promise.allSettled(this.#underWay);
    return work();
  }
}
