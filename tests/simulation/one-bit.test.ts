// One bit of each kind of file that a ledger has, some of each, by name: what that costs at most.

import { posix } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { flipBits } from '../support/spoiled/flipped-bits.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../support/disks/temporary-folder.ts';
import { makeTinyLedger, TINY_URL, type TinyLedger } from '../support/ledgers/tiny-ledger.ts';

const FLIPS = 24;

/** Kinds of files, and how many of the flips may cost points: of one VM and those that share with it. */
const KINDS: readonly (readonly [string, RegExp, number])[] = [
  ['the format', /^format$/u, 0],
  ['the log', /^log\/\d{20}\.log$/u, 2 * FLIPS],
  ['what is beside the log', /^log\/(?!\d{20}\.log$)/u, 0],
  ['packs', /^packs\//u, 2 * FLIPS],
  ['keys', /^keys\/[^/]+\.key$/u, 0],
  ['fingerprints', /^keys\/(?![^/]+\.key$)/u, 0],
  ['locks', /^locks\//u, 0],
  ['what is derived', /^projections\//u, 0],
];

let folder: TemporaryFolder;
let tiny: TinyLedger;
beforeAll(async () => {
  folder = await makeTemporaryFolder();
  tiny = await makeTinyLedger(folder.path);
});
afterAll(() => folder.remove());

const bitsOf = (pattern: RegExp): number =>
  [...tiny.disk]
    .filter(([path]) => pattern.test(posix.relative(TINY_URL, path)))
    .reduce((sum, [, bytes]) => sum + (bytes?.length ?? 0) * 8, 0);

test('every file is of a kind', () => {
  const within = [...tiny.disk]
    .filter(([, bytes]) => bytes !== null)
    .map(([path]) => posix.relative(TINY_URL, path));
  expect(within.filter((path) => !KINDS.some(([, pattern]) => pattern.test(path)))).toEqual([]);
});

test.each(KINDS)(
  'a bit of %s that flips is met clearly, and costs no more than it may',
  async (_kind, pattern, costMax) => {
    const bits = bitsOf(pattern);
    const step = Math.max(1, Math.floor(bits / FLIPS));
    const done = await flipBits({
      tiny,
      step,
      first: step >> 1,
      isFlipped: (path) => pattern.test(path),
      tell: () => undefined,
    });
    expect(done.faults).toEqual([]);
    expect(done.bits).toBe(bits);
    expect(done.lossy + done.refused).toBeLessThanOrEqual(costMax);
  },
  600_000,
);
