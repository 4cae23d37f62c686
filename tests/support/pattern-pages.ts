// Pages of every class of pattern, at random, and pages that only nearly are some.

import fc from 'fast-check';
import type { Grammar } from '../../domain/ports/page-engine.ts';
import { PAGE_BYTES } from '../../domain/values/page.ts';
import { KNOWN_BYTES, UNIT_BYTES } from '../../domain/patterns/grammar.ts';

const bytes = (minLength: number, maxLength: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength, maxLength });

/** A page that repeats a unit, begun `phase` bytes into it. */
export function repeatedPage(unit: Uint8Array, phase = 0): Uint8Array {
  return Uint8Array.from({ length: PAGE_BYTES }, (_, i) => unit[(i + phase) % unit.length]!);
}

/** Units of a few different bytes, so that shorter ones hide in them. */
const unit: fc.Arbitrary<Uint8Array> = fc
  .tuple(fc.constantFrom(...UNIT_BYTES), fc.constantFrom(1, 2, 3, 256))
  .chain(([length, letters]) =>
    fc.array(fc.nat({ max: letters - 1 }), { minLength: length, maxLength: length }),
  )
  .map((letters) => Uint8Array.from(letters));

/** Units of any length, of known bytes in runs. */
const knownUnit: fc.Arbitrary<Uint8Array> = fc
  .array(
    fc.tuple(fc.constantFrom(...KNOWN_BYTES), fc.constantFrom(1, 2, 7, 63, 64, 191, 500, 4096)),
    {
      minLength: 1,
      maxLength: 18,
    },
  )
  .map((runs) =>
    Uint8Array.from(runs.flatMap(([byte, length]) => Array<number>(length).fill(byte))).slice(
      0,
      PAGE_BYTES,
    ),
  );

const repeated: fc.Arbitrary<Uint8Array> = unit.map((of) => repeatedPage(of));
const poisoned: fc.Arbitrary<Uint8Array> = fc
  .tuple(knownUnit, fc.nat({ max: PAGE_BYTES }))
  .map(([of, phase]) => repeatedPage(of, phase));

/** The page with other bytes at its ends: some are as they were. */
const edged = (page: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> =>
  fc.tuple(page, bytes(0, 70), bytes(0, 70)).map(([of, head, tail]) => {
    const whole = of.slice();
    whole.set(head, 0);
    whole.set(tail, PAGE_BYTES - tail.length);
    return whole;
  });

/** The page with one byte changed, anywhere. */
const flawed = (page: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> =>
  fc
    .tuple(page, fc.nat({ max: PAGE_BYTES - 1 }), fc.integer({ min: 1, max: 255 }))
    .map(([of, at, change]) => {
      const whole = of.slice();
      whole[at]! ^= change;
      return whole;
    });

/** Strings that a ledger might add: of lengths that the grammar does not find by itself. */
export const GRAMMAR: Grammar = [
  { number: 64, unit: new TextEncoder().encode('hello') },
  { number: 65, unit: Uint8Array.from({ length: 1024 }, (_, i) => (i * 7) ^ (i >> 3)) },
  { number: 66, unit: new TextEncoder().encode('world') },
  { number: 67, unit: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 1) },
  { number: 200, unit: Uint8Array.from({ length: 96 }, (_, i) => i) },
];

const added: fc.Arbitrary<Uint8Array> = fc
  .tuple(fc.constantFrom(...GRAMMAR), fc.nat({ max: 1023 }))
  .map(([{ unit: of }, phase]) => repeatedPage(of, phase));

const scattered: fc.Arbitrary<Uint8Array> = fc
  .tuple(bytes(1, 512), fc.nat())
  .map(([of, phase]) => repeatedPage(of, phase));

/** Pages about which the grammar has to decide. */
export const anyPage: fc.Arbitrary<Uint8Array> = fc.oneof(
  repeated,
  poisoned,
  added,
  edged(repeated),
  edged(added),
  edged(poisoned),
  flawed(repeated),
  flawed(poisoned),
  flawed(added),
  flawed(edged(repeated)),
  scattered,
);
