import { expect, test } from '@jest/globals';
import { privatePagesIn, privatePagesOf } from '../../../../adapters/guests/qemu/private-pages.ts';

const mapping = (rights: string, path: string, anonymousKib: number): string =>
  [
    `7f0000000000-7f0008000000 ${rights} 00000000 00:2f 2                          ${path}`,
    'Rss:               20000 kB',
    `Anonymous:          ${anonymousKib} kB`,
    'VmFlags: rd wr mr mw me ac sd',
  ].join('\n');

test('what a guest has of its own is counted in the mappings of its memory alone', () => {
  const smaps = [
    mapping('rw-p', '/m/memory', 400),
    mapping('rw-p', '[heap]', 4000),
    mapping('rw-p', '/m/memory', 40),
    mapping('rw-s', '/m/memory', 4),
    mapping('rw-p', '', 4),
    mapping('r--p', '/m/memory (deleted)', 4),
  ].join('\n');
  expect(privatePagesIn(smaps, new Set(['/m/memory']))).toBe(110);
  expect(privatePagesIn(smaps, new Set())).toBe(0);
});

test('of a process that there is not nothing is known', () => {
  expect(privatePagesOf(2 ** 30)).toBeNull();
});
