// Pieces of one piece of work of which so many are under way at once. The first failure stops it, and
// is thrown only when everything has ended: nobody writes into memory or a file that was given up.

export class Crew {
  readonly #max: number;
  readonly #underWay = new Set<Promise<void>>();
  readonly #failures: unknown[] = [];

  constructor(max: number) {
    this.#max = max;
  }

  /** Takes in a piece that has begun, and waits until there is room for the next; false: some failed. */
  async add(work: Promise<void>): Promise<boolean> {
    const guarded: Promise<void> = work
      .catch((thrown: unknown) => {
        this.#failures.push(thrown);
      })
      .finally(() => this.#underWay.delete(guarded));
    this.#underWay.add(guarded);
    if (this.#underWay.size >= this.#max) await Promise.race(this.#underWay);
    return this.#failures.length === 0;
  }

  /** Everything that began has ended; the first failure is thrown. */
  async settle(): Promise<void> {
    await Promise.all(this.#underWay);
    if (this.#failures.length > 0) throw this.#failures[0];
  }
}
