import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { chosenBase, type BaseMatch } from '../../domain/clone-bases.ts';

const PAGES = 1000;

describe('the base of clones', () => {
  test('is the point itself where it is mounted, however many they are', () => {
    const bases = [
      { common: 900, sent: 10 },
      { common: 950, sent: 0 },
    ];
    expect(chosenBase(bases, 1)).toBe(1);
    expect(chosenBase(bases, 10_000)).toBe(1);
  });

  test('is their own where none is mounted, or nothing is in common', () => {
    expect(chosenBase([], 1)).toBeNull();
    expect(chosenBase([{ common: 0, sent: PAGES }], 1)).toBeNull();
  });

  test('is their own once what all are sent is more than what would be there twice', () => {
    const sibling = { common: 800, sent: 100 };
    expect([1, 8, 9].map((clones) => chosenBase([sibling], clones))).toEqual([0, 0, null]);
  });

  test('has least to be sent among those that are no loss', () => {
    const match: fc.Arbitrary<BaseMatch> = fc
      .nat(PAGES)
      .chain((sent) => fc.record({ sent: fc.constant(sent), common: fc.nat(PAGES - sent) }));
    fc.assert(
      fc.property(
        fc.array(match, { maxLength: 8 }),
        fc.integer({ min: 1, max: 16 }),
        (bases, n) => {
          const isNoLoss = ({ common, sent }: BaseMatch): boolean => n * sent <= common;
          const chosen = chosenBase(bases, n);
          const fit = bases.filter(isNoLoss);
          expect(chosen === null).toBe(fit.length === 0);
          if (chosen === null) return;
          expect(isNoLoss(bases[chosen]!)).toBe(true);
          expect(bases[chosen]!.sent).toBe(Math.min(...fit.map(({ sent }) => sent)));
        },
      ),
    );
  });
});
