// What the page tables of a kernel that was put together say was accessed.

import { describe, expect, test } from '@jest/globals';
import {
  AccessedPages,
  activityByBits,
  type AccessBits,
} from '../../../domain/guest/accessed-pages.ts';
import { kernelAt } from '../../../domain/guest/kernel.ts';
import type { Task } from '../../../domain/guest/tasks.ts';
import {
  MADE_FRAMES,
  MADE_NOTE,
  madeKernel,
  pagesOfBytes,
  type MadeMemory,
} from '../../support/guest/made-kernel.ts';

/** Present, of a process, and as its other bits say. */
const entry = (...bits: readonly number[]): number => bits.reduce((all, bit) => all | bit, 0x07);
const ACCESSED = 0x20;
const DIRTY = 0x40;
const LARGE = 0x80;

/** What is said of frames, of processes whose tables begin in frame 13. */
async function bitsOf(
  made: MadeMemory,
  frames: readonly (number | null)[],
  tasks = [{} as Task],
): Promise<AccessBits> {
  const { memory } = await kernelAt(pagesOfBytes(made.bytes), MADE_NOTE);
  const rootOf = () => Promise.resolve(13);
  return (await AccessedPages.of(memory, { rootOf }, tasks)).bitsOf(frames);
}

describe('pages that processes have mapped', () => {
  test('were accessed, or written, where the bits of their entries are set', async () => {
    const made = madeKernel();
    made.entry(16, 0, { frame: 17, flags: entry() });
    made.entry(16, 1, { frame: 6, flags: entry(ACCESSED) });
    made.entry(16, 5, { frame: 18, flags: entry(ACCESSED, DIRTY) });
    const of = (...frames: readonly (number | null)[]) => bitsOf(made, frames);
    expect(await of(17)).toEqual({ mapped: 1, accessed: 0, dirty: 0, inLarge: 0 });
    expect(await of(6)).toEqual({ mapped: 1, accessed: 1, dirty: 0, inLarge: 0 });
    expect(await of(18)).toEqual({ mapped: 1, accessed: 1, dirty: 1, inLarge: 0 });
    expect(await of(17, 6, 18, 7, null, MADE_FRAMES + 9)).toEqual({
      mapped: 3,
      accessed: 2,
      dirty: 1,
      inLarge: 0,
    });
  });

  test('were accessed where one of their mappings says so', async () => {
    const made = madeKernel();
    made.entry(16, 0, { frame: 17, flags: entry() });
    made.entry(16, 1, { frame: 17, flags: entry(ACCESSED) });
    expect(await bitsOf(made, [17])).toMatchObject({ mapped: 1, accessed: 1, dirty: 0 });
  });

  test('in a large page have one bit, of whichever of its mappings has it', async () => {
    const made = madeKernel();
    made.entry(15, 3, { frame: 0, flags: entry(LARGE) });
    const all = Array.from({ length: MADE_FRAMES }, (_, frame) => frame);
    const none = { mapped: MADE_FRAMES, dirty: 0, inLarge: MADE_FRAMES };
    made.entry(16, 0, { frame: 17, flags: entry() });
    made.entry(16, 5, { frame: 18, flags: entry() });
    expect(await bitsOf(made, all)).toEqual({ ...none, accessed: 0 });
    made.entry(15, 4, { frame: 0, flags: entry(LARGE, ACCESSED) });
    expect(await bitsOf(made, all)).toEqual({ ...none, accessed: MADE_FRAMES });
  });

  test('are none of a guest without processes', async () => {
    const nothing = { mapped: 0, accessed: 0, dirty: 0, inLarge: 0 };
    expect(await bitsOf(madeKernel(), [17, 18], [])).toEqual(nothing);
  });
});

test('a region of which processes have less than half tells nothing of itself', () => {
  const bits = (mapped: number, accessed: number) =>
    activityByBits({ mapped, accessed, dirty: 0, inLarge: 0 }, 512);
  expect([bits(255, 255), bits(256, 0), bits(512, 40)]).toEqual([null, 0, 40]);
});
