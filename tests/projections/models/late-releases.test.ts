// What is let go of before the place where history begins, as it is let go of behind it.

import { expect, test } from '@jest/globals';
import { contentOf } from '../../../domain/values/holding.ts';
import { NumberSet } from '../../../domain/values/number-set.ts';
import { releaseLater } from '../../../projections/models/late-releases.ts';
import { LossyModels, nameOf, packOf, patchOver } from '../../support/spoiled/lossy-models.ts';

/** Packs 1 to 5 of a page each: 2 is a patch of 1, and 4 one of 3. */
function models(): LossyModels {
  const made = new LossyModels();
  for (let number = 1; number <= 5; number += 1)
    made.add(
      packOf(number, number, number === 2 || number === 4 ? patchOver(number - 1) : undefined),
    );
  return made;
}

/** Which packs' pages are let go of, where so many are at the end of the log. */
function released(
  gone: readonly number[],
  of: { readonly referred?: readonly number[]; readonly there?: readonly number[] } = {},
): number[] {
  const [state, now] = [models(), models()];
  for (const number of gone) now.release(number, 7);
  const referred = new NumberSet();
  for (const number of of.referred ?? []) referred.add(contentOf(state.numberOf(number)));
  const there = new Set((of.there ?? []).map(nameOf));
  releaseLater(state, {
    now: now.contents,
    referred,
    isThere: (name) => there.has(name),
    timeMs: 5,
  });
  return [1, 2, 3, 4, 5].filter((number) => {
    const holding = state.numberOf(number);
    expect(state.sharing.isReleased(holding)).toBe(state.contents.isReleased(holding));
    return state.contents.isReleased(holding);
  });
}

test('what is let go of later is, and what only that was made from', () => {
  expect(released([5])).toEqual([5]);
  expect(released([1, 2, 5])).toEqual([1, 2, 5]);
});

test('what a patch that stays is made from is not', () => {
  expect(released([3])).toEqual([]);
});

test('what is referred to later is not, nor what that is made from', () => {
  expect(released([1, 2, 3, 4, 5], { referred: [2, 5] })).toEqual([3, 4]);
});

test('what may be had still is not', () => {
  expect(released([1, 2, 5], { there: [2] })).toEqual([5]);
});
