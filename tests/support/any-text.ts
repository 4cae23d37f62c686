// Texts of any characters. The library's own, of all code points, takes two seconds in each suite to be
// made: it tries each of a million characters out.

import fc from 'fast-check';

/** How many code points are halves of others, and the first of them. */
const HALVES = 0x800;
const FIRST_HALF = 0xd8_00;
const LAST = 0x10_ff_ff;

const character = fc
  .nat({ max: LAST - HALVES })
  .map((n) => String.fromCodePoint(n < FIRST_HALF ? n : n + HALVES));

/** Texts of so many characters at most, of all there are; some are plain, and names with a meaning of their own. */
export const anyText = (length: { readonly maxLength?: number } = {}): fc.Arbitrary<string> =>
  fc.oneof(
    { weight: 4, arbitrary: fc.array(character, length).map((of) => of.join('')) },
    { weight: 1, arbitrary: fc.string(length) },
  );
