import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { areRuns, GrowingRuns, hasSlot, slotsBeside } from '../../../domain/values/slot-runs.ts';

const END = 60;
const slotSets = fc.uniqueArray(fc.nat({ max: END - 1 }));

function runsOf(slots: readonly number[]): Uint16Array {
  const growing = new GrowingRuns();
  for (const slot of slots.toSorted((a, b) => a - b)) growing.add(slot);
  return growing.runs;
}

describe('runs of slots', () => {
  test('have the slots that were added, and between them lie all others', () => {
    fc.assert(
      fc.property(slotSets, (slots) => {
        const runs = runsOf(slots);
        expect(areRuns(runs, END)).toBe(true);
        const all = Array.from({ length: END }, (_, slot) => slot);
        expect(all.filter((slot) => hasSlot(runs, slot))).toEqual(slots.toSorted((a, b) => a - b));
        const beside = [...slotsBeside(runs, END)].flatMap(({ first, end }) =>
          all.slice(first, end),
        );
        expect(beside).toEqual(all.filter((slot) => !slots.includes(slot)));
      }),
    );
  });

  test('are as few as can be', () => {
    expect(runsOf([3, 4, 5, 9])).toEqual(Uint16Array.of(3, 6, 9, 10));
  });

  test.each([
    ['that touch', [0, 2, 2, 3], 5],
    ['that are empty', [1, 1], 5],
    ['out of order', [4, 5, 0, 1], 5],
    ['beyond the end', [0, 6], 5],
    ['without an end', [0, 2, 4], 5],
  ])('%s are none', (_, runs, end) => {
    expect(areRuns(Uint16Array.from(runs), end)).toBe(false);
  });
});
