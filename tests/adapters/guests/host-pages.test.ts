// How a host says that it holds a process's memory.

import { expect, test } from '@jest/globals';
import { hostPagesIn, hostPagesOf } from '../../../adapters/guests/host-pages.ts';

const ROLLUP = `560f36fbe000-7ffd0d9d4000 ---p 00000000 00:00 0                          [rollup]
Rss:              180000 kB
Pss_Anon:            120 kB
KSM:                  40 kB
AnonHugePages:     98304 kB
ShmemPmdMapped:     2048 kB
`;

test('large pages and merged ones are what its kernel counts', () => {
  expect(hostPagesIn(ROLLUP)).toEqual({
    residentBytes: 180_000 * 1024,
    largeBytes: 98 * 1024 * 1024,
    mergedBytes: 40 * 1024,
  });
});

test('of a kernel that does not count merged ones they are not known', () => {
  expect(hostPagesIn(ROLLUP.replace(/^KSM.*\n/mu, ''))).toMatchObject({ mergedBytes: null });
});

test.each(['', 'Rss:', 'Rss: many kB', 'Rss: -1 kB'])('nothing is read from %j', (text) => {
  expect(hostPagesIn(text)).toBeNull();
});

test('a process that is not there has none', () => {
  expect(hostPagesOf(2 ** 30)).toBeNull();
});
