// Work at a rate, by a clock of the test's own.

import { expect, test } from '@jest/globals';
import { Pace } from '../../../domain/values/pace.ts';

test('lets pieces through one behind the other, at its rate, and makes up for no idle time', async () => {
  let now = 50;
  const waits: number[] = [];
  const wait = (ms: number): Promise<void> => {
    waits.push(ms);
    return Promise.resolve();
  };
  const pace = new Pace({ bytesPerSecond: 1000, now: () => now, wait });
  // The first begins at once; others ask while it has its time.
  await pace.take(100);
  await Promise.all([pace.take(200), pace.take(10)]);
  expect(waits).toEqual([100, 300]);
  now = 260;
  await pace.take(1);
  expect(waits).toEqual([100, 300, 100]);
  now = 10_000;
  await pace.take(1000);
  await pace.take(1);
  expect(waits).toEqual([100, 300, 100, 1000]);
});
