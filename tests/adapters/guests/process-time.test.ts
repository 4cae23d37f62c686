import { expect, test } from '@jest/globals';
import { ticksOf } from '../../../adapters/guests/process-time.ts';

test('a process has taken time, more the longer it works; one that there is not has none', () => {
  const before = ticksOf(process.pid)!;
  while (ticksOf(process.pid) === before) Math.sqrt(before);
  expect(ticksOf(process.pid)!).toBeGreaterThan(before);
  expect(ticksOf(2 ** 30)).toBeNull();
});
