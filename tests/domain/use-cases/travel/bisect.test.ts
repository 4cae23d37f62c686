// Finding the first moment at which something is true.

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { bisectStep, type Verdict } from '../../../../domain/use-cases/travel/bisect.ts';

/** Asks until there is an answer. */
function bisect(all: readonly Verdict[]) {
  const verdicts = new Map<number, Verdict>();
  for (;;) {
    const step = bisectStep({ count: all.length, verdicts });
    if (step._tag !== 'ask') return { step, asked: verdicts.size };
    expect(verdicts.has(step.moment)).toBe(false);
    verdicts.set(step.moment, all[step.moment]!);
  }
}

const pastOf = (first: number, count: number): Verdict[] =>
  Array.from({ length: count }, (_, i) => (i < first ? 'false' : 'true'));

describe('the first moment', () => {
  test('is found by asking at few', () => {
    for (const first of [0, 1, 511, 998, 999]) {
      const { step, asked } = bisect(pastOf(first, 1000));
      expect(step).toEqual({ _tag: 'found', among: [first] });
      expect(asked).toBeLessThanOrEqual(12);
    }
  });

  test('is none where it is not true at the end, or nothing can be told', () => {
    expect(bisect(pastOf(9, 9)).step).toEqual({ _tag: 'never' });
    expect(bisect(['false', 'skip']).step).toEqual({ _tag: 'never' });
    expect(bisect(['skip', 'skip']).step).toEqual({ _tag: 'untold' });
    expect(bisect([]).step).toEqual({ _tag: 'untold' });
  });

  test('is one of several where those before it cannot be told', () => {
    const { step } = bisect(['false', 'skip', 'skip', 'true', 'true']);
    expect(step).toEqual({ _tag: 'found', among: [1, 2, 3] });
    expect(bisect(['false', 'true', 'skip']).step).toEqual({ _tag: 'found', among: [1] });
  });

  test('is among what is answered, whatever cannot be told', () => {
    const past = fc
      .tuple(
        fc.integer({ min: 0, max: 30 }),
        fc.array(fc.boolean(), { minLength: 30, maxLength: 30 }),
      )
      .map(([first, told]) => ({
        first,
        all: pastOf(first, 30).map((verdict, i) => (told[i]! ? verdict : 'skip')),
      }));
    fc.assert(
      fc.property(past, ({ first, all }) => {
        const { step } = bisect(all);
        const isTrueSomewhere = all.includes('true');
        const nowhere = all.includes('false') ? 'never' : 'untold';
        expect(step._tag).toBe(isTrueSomewhere ? 'found' : nowhere);
        const among = step._tag === 'found' ? step.among : [first];
        expect(among).toContain(first);
        expect(among.slice(0, -1).every((moment) => all[moment] === 'skip')).toBe(true);
      }),
    );
  });
});
