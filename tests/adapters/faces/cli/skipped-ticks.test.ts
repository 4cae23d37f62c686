import { expect, test } from '@jest/globals';
import { SkippedTicks } from '../../../../adapters/faces/cli/skipped-ticks.ts';

test('ticks that go by are told of at once, then summed up once a minute, and at the end', () => {
  const told: string[] = [];
  let now = 0;
  const skipped = new SkippedTicks(
    '5s',
    (sentence) => told.push(sentence),
    () => now,
  );
  const at = (ms: number, ticks: number): number => {
    now = ms;
    skipped.add(ticks);
    return told.length;
  };
  expect([at(0, 1), at(10_000, 2), at(59_999, 3), at(60_000, 4), at(70_000, 5)]).toEqual([
    1, 1, 1, 2, 2,
  ]);
  skipped.end();
  skipped.end();
  expect(told).toEqual([
    '1 tick of --every 5s went by during captures and was skipped',
    '9 ticks of --every 5s went by during captures and were skipped',
    '5 ticks of --every 5s went by during captures and were skipped',
  ]);
});
