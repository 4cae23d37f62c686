// A bound of what is under way at once: bytes in memory, or open files.

import { assert } from '../../../domain/values/assert.ts';

export interface Budget {
  /** Waits until there is room, in the order of asking; the result gives it back. */
  take(amount: number): Promise<() => void>;
}

/** A budget of `max`; what is larger than all of it waits until nothing else is under way. */
export function createBudget(max: number): Budget {
  const waiting: { readonly amount: number; readonly start: () => void }[] = [];
  let taken = 0;

  function startNext(): void {
    for (let first = waiting[0]; first !== undefined; [first] = waiting) {
      if (taken + first.amount > max) return;
      waiting.shift();
      taken += first.amount;
      first.start();
    }
  }

  return {
    async take(asked) {
      const amount = Math.min(asked, max);
      await new Promise<void>((resolve) => {
        waiting.push({ amount, start: resolve });
        startNext();
      });
      let isGivenBack = false;
      return () => {
        assert(!isGivenBack, 'a part of a budget is given back once');
        isGivenBack = true;
        taken -= amount;
        startNext();
      };
    },
  };
}
