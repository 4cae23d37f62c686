// Runs of words in a state: whatever they are they are read back, and long runs take few bytes.

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { StateReader, StateUnfit, StateWriter } from '../../../projections/models/state-bytes.ts';

const runsOf = (words: Uint32Array): Uint8Array => new StateWriter().runs(words).bytes().slice();

/** Words of which many are alike. */
const words = fc
  .array(fc.tuple(fc.integer({ min: 1, max: 9 }), fc.constantFrom(0, 1, 7, 0xffff_ffff)), {
    maxLength: 30,
  })
  .map((runs) => Uint32Array.from(runs.flatMap(([count, word]) => Array(count).fill(word))));

describe('runs of words', () => {
  test('are read as they were written', () => {
    fc.assert(
      fc.property(words, (of) => {
        const reader = new StateReader(new StateWriter().runs(of).u32(4711).bytes());
        expect(reader.runs(of.length)).toEqual(of);
        expect(reader.u32()).toBe(4711);
      }),
    );
  });

  test('take few bytes where they are long', () => {
    const of = new Uint32Array(1_000_000);
    of.fill(0xffff_ffff, 500_000);
    of[77] = 5;
    expect(runsOf(of).length).toBeLessThan(100);
    expect(new StateReader(runsOf(of)).runs(of.length)).toEqual(of);
  });

  test('that end early, are too many, or more than they say are none', () => {
    const bytes = runsOf(Uint32Array.of(1, 1, 1, 1, 2, 3));
    expect(() => new StateReader(bytes).runs(5)).toThrow(StateUnfit);
    for (let end = 0; end < bytes.length; end += 1)
      expect(() => new StateReader(bytes.slice(0, end)).runs(6)).toThrow(StateUnfit);
    const uneven = bytes.slice();
    new DataView(uneven.buffer).setUint32(4, 40, true);
    expect(() => new StateReader(uneven).runs(6)).toThrow(StateUnfit);
    new DataView(uneven.buffer).setUint32(4, 0, true);
    expect(() => new StateReader(uneven).runs(6)).toThrow(StateUnfit);
  });
});
