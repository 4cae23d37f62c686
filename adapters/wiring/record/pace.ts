// The rate at which guests are recorded, one for all of a process.

import type { RecorderOptions } from '../../../domain/use-cases/record/recorder.ts';
import { Pace } from '../../../domain/values/pace.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { pauseUnless } from './guest-ticks.ts';

/** Memory at so many bytes a second, until the signal aborts: what is under way then ends as fast as it can. */
export function recordedAt(
  bytesPerSecond: number,
  signal: AbortSignal,
): Required<Pick<RecorderOptions, 'pace'>> {
  const pace = new Pace({
    bytesPerSecond,
    now: () => performance.now(),
    wait: (ms) => pauseUnless(ms, signal, () => false),
  });
  return { pace: (pages) => pace.take(pages * PAGE_BYTES) };
}
