import { expect, test } from '@jest/globals';
import { WorkShare } from '../../../../adapters/kernels/engine/work-share.ts';

/** A thread's clock, and its work. */
function timed(): {
  readonly share: WorkShare;
  readonly work: (ms: number) => void;
  readonly rest: (ms: number) => void;
} {
  let nowMs = 0;
  const share = new WorkShare(() => nowMs);
  return {
    share,
    work: (ms) =>
      share.take(() => {
        nowMs += ms;
      }),
    rest: (ms) => {
      nowMs += ms;
    },
  };
}

test('a burst of work is little, more of it at once is much', () => {
  const { share, work } = timed();
  expect(share.isMuch()).toBe(false);
  work(250);
  expect(share.isMuch()).toBe(false);
  work(1);
  expect(share.isMuch()).toBe(true);
});

test('work that leaves half of the time is little for ever', () => {
  const { share, work, rest } = timed();
  for (let i = 0; i < 1000; i += 1) {
    work(100);
    expect(share.isMuch()).toBe(false);
    rest(200);
  }
});

test('work that leaves less than that is much in the end, and little again after a rest', () => {
  const { share, work, rest } = timed();
  for (let i = 0; i < 10; i += 1) {
    work(100);
    rest(100);
  }
  work(100);
  expect(share.isMuch()).toBe(true);
  rest(1200);
  expect(share.isMuch()).toBe(false);
});

test('work that fails counts, and its failure is the caller’s', () => {
  const { share, work } = timed();
  expect(() =>
    share.take(() => {
      work(300);
      throw new Error('no');
    }),
  ).toThrow('no');
  expect(share.isMuch()).toBe(true);
});
