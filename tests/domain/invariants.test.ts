import { describe, expect, test } from '@jest/globals';
import {
  areCapturedOnce,
  areDense,
  areNumbered,
  arePagesCounted,
  areWritesCounted,
  ascends,
  miscountedHolder,
  repeatedIn,
} from '../../domain/invariants.ts';
import { FIRST_CONTENT, PATTERN_BASE, UNKNOWN, ZERO } from '../../domain/values/holding.ts';

const batch = (...gfns: number[]) => ({ gfns: Uint32Array.from(gfns) });

const pack = (firstContent: number, pages: number, firstPattern = 0, patterns = 0) => ({
  firstContent,
  pages,
  firstPattern,
  patterns,
});

describe('counts', () => {
  test('of writes are those of stored, merged, pattern and unknown pages', () => {
    const counts = { stored: 1, merged: 2, pattern: 3, unknown: 4 };
    expect(areWritesCounted({ written: 10, ...counts })).toBe(true);
    expect(areWritesCounted({ written: 11, ...counts })).toBe(false);
  });

  test('of pages count each in one class', () => {
    const counts = { zero: 1, pattern: 2, unique: 3, mergedIntra: 4, mergedInter: 5 };
    expect(arePagesCounted({ pages: 15, ...counts })).toBe(true);
    expect(arePagesCounted({ pages: 14, ...counts })).toBe(false);
    expect(arePagesCounted({ pages: 21, ...counts, unknown: 6 })).toBe(true);
  });

  test('of holders are the pages that hold, of all tables', () => {
    const tables = [
      Uint32Array.of(FIRST_CONTENT, ZERO, FIRST_CONTENT + 1),
      Uint32Array.of(FIRST_CONTENT, UNKNOWN, PATTERN_BASE),
    ];
    const holders = (...counts: number[]) => ({ contents: 2, of: (i: number) => counts[i]! });
    expect(miscountedHolder(tables, holders(2, 1))).toBeNull();
    expect(miscountedHolder(tables, holders(2, 0))).toBe(1);
    expect(miscountedHolder(tables, holders(1, 1))).toBe(0);
  });
});

describe('order', () => {
  test('ascends where each is greater than the one before', () => {
    expect(ascends([])).toBe(true);
    expect(ascends([0n, 1n, 5n])).toBe(true);
    expect(ascends([1, 1])).toBe(false);
    expect(ascends([2, 1])).toBe(false);
  });

  test('of a capture has each page at most once, over all its batches', () => {
    expect(areCapturedOnce([batch(0, 2), batch(), batch(3)])).toBe(true);
    expect(areCapturedOnce([batch(0, 2), batch(2)])).toBe(false);
    expect(areCapturedOnce([batch(5), batch(1, 2)])).toBe(false);
  });
});

describe('numbers', () => {
  test('are dense where packs follow each other without a gap', () => {
    const packs = [pack(0, 3, 0, 1), pack(3, 0, 1, 2), pack(3, 2, 3, 0)];
    expect(areDense(packs, { contents: 5, patterns: 3 })).toBe(true);
    expect(areDense(packs, { contents: 6, patterns: 3 })).toBe(false);
    expect(areDense([pack(1, 3)], { contents: 4, patterns: 0 })).toBe(false);
    expect(areDense([pack(0, 3), pack(2, 3)], { contents: 5, patterns: 0 })).toBe(false);
  });

  test('are there for all that a table holds, unless that is not known', () => {
    const numbered = { contents: 2, patterns: 1 };
    const known = [ZERO, 255, FIRST_CONTENT + 1, PATTERN_BASE, UNKNOWN];
    expect(areNumbered(Uint32Array.from(known), numbered)).toBe(true);
    expect(areNumbered(Uint32Array.of(FIRST_CONTENT + 2), numbered)).toBe(false);
    expect(areNumbered(Uint32Array.of(PATTERN_BASE + 1), numbered)).toBe(false);
  });

  test('of equal pages are one: the first that is repeated is named', () => {
    expect(repeatedIn(['a', 'b', 'c'])).toBeNull();
    expect(repeatedIn(['a', 'b', 'b', 'a'])).toBe('b');
  });
});
