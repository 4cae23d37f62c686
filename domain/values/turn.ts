// Work that is done one after another, in the order in which it was asked for.

const nothing = (): void => undefined;

/** Runs one piece of work at a time. A piece that fails does not keep the next one from its turn. */
export class Turn {
  #last: Promise<unknown> = Promise.resolve();

  /** Runs `work` when all that was asked for before has ended; its result or failure is the caller's. */
  run<T>(work: () => Promise<T>): Promise<T> {
    const running = this.#last.then(work);
    // Nothing of the result is kept here for longer than its caller keeps it.
    this.#last = running.then(nothing, nothing);
    return running;
  }

  /** Resolves when all that was asked for so far has ended, however it ended. */
  async ended(): Promise<void> {
    await this.#last;
  }
}

/** A Turn for each of many names, kept only while there is work under its name. */
export class Turns {
  readonly #turns = new Map<string, { readonly turn: Turn; waiting: number }>();

  /** Runs `work` when all that was asked for under `name` before has ended. */
  async run<T>(name: string, work: () => Promise<T>): Promise<T> {
    const entry = this.#turns.get(name) ?? { turn: new Turn(), waiting: 0 };
    this.#turns.set(name, entry);
    entry.waiting += 1;
    try {
      return await entry.turn.run(work);
    } finally {
      entry.waiting -= 1;
      if (entry.waiting === 0) this.#turns.delete(name);
    }
  }

  /** Resolves when all that was asked for so far has ended, however it ended. */
  async ended(): Promise<void> {
    await Promise.all([...this.#turns.values()].map(({ turn }) => turn.ended()));
  }
}
