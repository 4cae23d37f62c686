// Work of which so much is under way at once, and the rest waits in the order in which it was asked
// for. A piece has a weight, 1 where none is given, as bytes that it holds or a request that it makes.

import { assert } from './assert.ts';

/** Lets work through while the weights of what is under way are at most `max` together. */
export class Limiter {
  readonly #max: number;
  #underWay = 0;
  readonly #waiting: { readonly weight: number; readonly enter: () => void }[] = [];

  constructor(max: number) {
    assert(max > 0, 'a limiter lets something through');
    this.#max = max;
  }

  /** Runs `work` as soon as it fits. What is heavier than `max` runs alone. */
  async run<T>(work: () => Promise<T>, weight = 1): Promise<T> {
    await this.enter(weight);
    try {
      return await work();
    } finally {
      this.leave(weight);
    }
  }

  /** Waits until so much fits, and takes it: for work whose end is somewhere else. */
  async enter(weight = 1): Promise<void> {
    if (this.#waiting.length === 0 && this.#fits(weight)) {
      this.#underWay += weight;
      return;
    }
    await new Promise<void>((resolve) => {
      this.#waiting.push({ weight, enter: resolve });
    });
  }

  /** Gives back what `enter` took. */
  leave(weight = 1): void {
    assert(this.#underWay >= weight, 'what leaves a limiter has entered it');
    this.#underWay -= weight;
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      if (!this.#fits(next.weight)) return;
      this.#waiting.shift();
      this.#underWay += next.weight;
      next.enter();
    }
  }

  #fits(weight: number): boolean {
    return this.#underWay === 0 || this.#underWay + weight <= this.#max;
  }
}
