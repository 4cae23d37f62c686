import { describe as suite, expect, test } from '@jest/globals';
import fc from 'fast-check';
import * as either from 'fp-ts/lib/Either.js';
import {
  decideLedger,
  evolveLedger,
  initialLedger,
  type AddPattern,
  type LedgerEvent,
} from '../../../domain/ledger.ts';
import { ADDED_STRINGS_MAX, describe, stringForm } from '../../../domain/patterns/index.ts';
import { events, refusal, specify } from '../../support/given-when-then.ts';
import { repeatedPage } from '../../support/pattern-pages.ts';
import { triesOf } from '../../support/long-run.ts';

const given = specify({ initial: initialLedger, decide: decideLedger, evolve: evolveLedger });
const add = (expression: string): AddPattern => ({ _tag: 'AddPattern', expression });
const added = (pattern: number, text: string): LedgerEvent => ({
  type: 'PatternAdded',
  data: { pattern, expression: stringForm(new TextEncoder().encode(text)) },
});

suite('adding a string to the grammar', () => {
  test('gives it the first free number and its shortest form', () => {
    expect(given().when(add('(?:hello)+'))).toEqual(events(added(64, 'hello')));
    expect(given(added(64, 'hello')).when(add('(?:worldworld)+'))).toEqual(
      events(added(65, 'world')),
    );
    expect(given(added(200, 'hello')).when(add('(?:world)+'))).toEqual(events(added(201, 'world')));
  });

  test('is refused where the expression gives no string', () => {
    expect(given().when(add('(?:hel'))).toEqual(
      refusal({ _tag: 'BadExpression', why: 'a group that does not end' }),
    );
  });

  test.each([
    ['x+', String.raw`\x78{4096}`],
    [String.raw`(?:\x00)+`, String.raw`\x00{4096}`],
    ['(?:abcdabcd)+', String.raw`(?:\x61\x62\x63\x64){1024}`],
    [String.raw`(?:\x6b{191}\xa5)+`, String.raw`(?:\x6b{191}\xa5){21}\x6b{64}`],
    [`(?:${'x'.repeat(63)}y)+`, String.raw`(?:\x78{63}\x79){64}`],
  ])('is refused where the grammar describes its pages already: %s', (expression, known) => {
    expect(given().when(add(expression))).toEqual(refusal({ _tag: 'PatternKnown', known }));
  });

  test('is refused where one that was added is the same, begun elsewhere', () => {
    expect(given(added(64, 'hello')).when(add('(?:lohel)+'))).toEqual(
      refusal({
        _tag: 'PatternKnown',
        known: String.raw`pattern 64, (?:\x68\x65\x6c{2}\x6f)+`,
      }),
    );
  });

  test('is refused where there is no number left', () => {
    const past = Array.from({ length: ADDED_STRINGS_MAX }, (_, i) => added(64 + i, `string ${i};`));
    expect(past.at(-1)).toMatchObject({ data: { pattern: 255 } });
    expect(given(...past).when(add('(?:hello)+'))).toEqual(
      refusal({ _tag: 'TooManyPatterns', patternsMax: ADDED_STRINGS_MAX }),
    );
  });

  test('counts once where two events bear the same number: the first', () => {
    const past = [added(64, 'hello'), added(64, 'world')];
    const { patterns } = past.reduce(evolveLedger, initialLedger);
    expect(patterns.map(({ number, unit }) => [number, new TextDecoder().decode(unit)])).toEqual([
      [64, 'hello'],
    ]);
  });

  test('makes pages patterns that were none, and leaves all others what they are', () => {
    const words = fc.array(
      fc.array(fc.constantFrom(0, 1, 0x6b, 0xa5), { minLength: 1, maxLength: 12 }),
      { minLength: 1, maxLength: 5 },
    );
    fc.assert(
      fc.property(words, fc.nat({ max: 20 }), (units, phase) => {
        let state = initialLedger;
        for (const unit of units) {
          const expression = stringForm(Uint8Array.from(unit));
          const decided = decideLedger(state)(add(expression));
          if (either.isRight(decided)) state = decided.right.reduce(evolveLedger, state);
        }
        for (const unit of units) {
          const page = repeatedPage(Uint8Array.from(unit), phase);
          const before = describe(page);
          const after = describe(page, state.patterns);
          expect(after.patternClass).not.toBe(0);
          expect(
            before.patternClass === 0 || after.descriptor.length === before.descriptor.length,
          ).toBe(true);
        }
      }),
      { numRuns: triesOf(200) },
    );
  });
});
