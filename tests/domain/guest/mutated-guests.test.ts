// Whatever stands in a guest's memory, each question has an answer, or a sentence that says what is wrong, in
// a bounded number of reads.
//
// PAGELEDGER_GUESTS: how many (`npm run test:long`: 1,000,000); PAGELEDGER_SEED: the seed they are drawn by.

import { expect, test } from '@jest/globals';
import { askMutatedGuests } from '../../support/guest/mutated-guests.ts';

const GUESTS = Number(process.env['PAGELEDGER_GUESTS'] ?? 300);
const SEED = Number(process.env['PAGELEDGER_SEED'] ?? 20261129);

test(`${GUESTS} guests that describe themselves wrongly are answered or refused`, async () => {
  const { answered, refused } = await askMutatedGuests({ guests: GUESTS, seed: SEED });
  // Both happen, or what is changed here is not what is read.
  expect(Math.min(answered, refused)).toBeGreaterThan(GUESTS / 10);
});
