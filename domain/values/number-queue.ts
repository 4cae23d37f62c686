// Numbers that wait, first in, first out, each at most once at a time. Taking one costs the same however
// many wait: an array whose beginning is cut off again and again is moved each time where it is long.

import { assert } from './assert.ts';

/** Numbers below a bound. */
export class NumberQueue {
  readonly #isWaiting: Uint8Array;
  #numbers: number[] = [];
  #next = 0;

  constructor(below: number) {
    this.#isWaiting = new Uint8Array(below);
  }

  /** How many wait. */
  get length(): number {
    return this.#numbers.length - this.#next;
  }

  /** Puts a number behind all others, unless it waits. */
  add(number: number): void {
    assert(number < this.#isWaiting.length, 'a number is below the bound of its queue');
    if (this.#isWaiting[number] === 1) return;
    this.#isWaiting[number] = 1;
    this.#numbers.push(number);
  }

  /** Takes the number that has waited longest; undefined: none waits. */
  take(): number | undefined {
    if (this.length === 0) return undefined;
    const number = this.#numbers[this.#next]!;
    this.#isWaiting[number] = 0;
    this.#next += 1;
    // As many are moved as were taken since.
    if (2 * this.#next > this.#numbers.length) {
      this.#numbers = this.#numbers.slice(this.#next);
      this.#next = 0;
    }
    return number;
  }
}
