// What a host's kernel says of its memory.

import { expect, test } from '@jest/globals';
import { availableIn, availableMemory } from '../../../adapters/guests/host-available.ts';

const MEMINFO = `MemTotal:       24682496 kB
MemFree:          120000 kB
MemAvailable:    9000000 kB
Buffers:            1000 kB
`;

test('a host has so much memory, and so much of it is to be had', () => {
  expect(availableIn(MEMINFO)).toEqual({
    bytes: 24_682_496 * 1024,
    availableBytes: 9_000_000 * 1024,
  });
});

test('a kernel that does not say it says nothing', () => {
  expect(availableIn(MEMINFO.replace('MemAvailable', 'MemOther'))).toBeNull();
  expect(availableIn('')).toBeNull();
});

test('this host has no more than there is, or does not say', () => {
  const { bytes, availableBytes } = availableMemory() ?? { bytes: 0, availableBytes: 0 };
  expect(availableBytes).toBeLessThanOrEqual(bytes);
});
