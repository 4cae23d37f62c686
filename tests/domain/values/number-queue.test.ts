import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { NumberQueue } from '../../../domain/values/number-queue.ts';

describe('a queue of numbers', () => {
  test('gives them in their order, each once while it waits', () => {
    fc.assert(
      fc.property(fc.array(fc.option(fc.nat(20))), (steps) => {
        const queue = new NumberQueue(21);
        const model: number[] = [];
        for (const step of steps) {
          const [taken, expected] = step === null ? [queue.take(), model.shift()] : [null, null];
          if (step !== null) queue.add(step);
          if (step !== null && !model.includes(step)) model.push(step);
          expect([taken, queue.length]).toEqual([expected, model.length]);
        }
      }),
    );
  });
});
