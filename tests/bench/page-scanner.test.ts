// The scanner that a ledger is held against: what it finds, when, and what escapes it.

import { describe, expect, test } from '@jest/globals';
import { PageScanner, type ScanRequest } from './page-scanner.ts';

const scan = (request: Partial<ScanRequest>) =>
  new PageScanner({
    pages: 4,
    contentCount: 10,
    changes: [{ seconds: 0, first: 0, contents: Uint32Array.of(7, 0, 7, 7) }],
    pagesPerSecond: 1,
    looksTwice: false,
    atSeconds: [2, 3, 4],
    ...request,
  }).run();

describe('a scanner of one page a second', () => {
  test('finds what it comes to, and no page of no content', () => {
    expect(scan({})).toEqual({ found: [0, 0.5, 1], meanSeconds: 2.5, missed: 0 });
  });

  test('that looks twice finds it a round later', () => {
    const { found, meanSeconds } = scan({ looksTwice: true, atSeconds: [4, 7, 8] });
    expect(found).toEqual([0, 0.5, 1]);
    expect(meanSeconds).toBe(6.5);
  });

  test('misses what is changed before it comes, and gives back what was found', () => {
    const first = { seconds: 0, first: 0, contents: Uint32Array.of(7, 0, 7, 7) };
    const changed = { seconds: 3, first: 2, contents: Uint32Array.of(8, 9) };
    expect(scan({ changes: [first, changed], atSeconds: [3, 8] })).toEqual({
      found: [0.5, 1],
      meanSeconds: 2,
      missed: 1,
    });
  });

  test('counts from when the second page held the same', () => {
    const first = { seconds: 0, first: 0, contents: Uint32Array.of(7) };
    const second = { seconds: 5, first: 2, contents: Uint32Array.of(7) };
    const { meanSeconds } = scan({ changes: [first, second], atSeconds: [8] });
    expect(meanSeconds).toBe(1);
  });
});
