// What a command is told to look at of large pages, and what it says of them.

import { setTimeout } from 'node:timers/promises';
import type { Command } from 'commander';
import type { ArrivingMemory } from '../../wiring/restore/resume.ts';
import type { SamplingRequest } from '../../wiring/restore/region-sampling.ts';
import { countIn, reclaimedIn } from '../rows/large-page-rows.ts';
import { positiveDuration } from './argument-values.ts';
import { UsageError } from './failure.ts';
import { bytesText, type Output } from './output.ts';
import { tell } from './session.ts';

/** The activity below which a region is cold, where nobody says another: 3 in 100 of its pages. */
export const COLD_BELOW = 16;

/** Options of a guest of which regions are looked at while it runs. */
export interface SamplingOptions {
  readonly sample?: number;
  readonly interval?: string;
  readonly threshold?: number;
}

/** What the options ask for; null: nothing is looked at. */
export function samplingOf(options: SamplingOptions): SamplingRequest | null {
  const { sample, interval, threshold } = options;
  if (sample === undefined) {
    if (interval !== undefined || threshold !== undefined)
      throw new UsageError('--interval and --threshold go with --sample');
    return null;
  }
  const intervalMs = positiveDuration('--interval', interval ?? '10s');
  const wait = (signal: AbortSignal): Promise<void> =>
    setTimeout(intervalMs, undefined, { signal });
  return { regions: sample, interval: wait, threshold: threshold ?? COLD_BELOW };
}

/** Says what was decided of the regions that were looked at, when that is known. */
export async function sayJudged(
  command: Command,
  output: Output,
  of: { readonly memory: ArrivingMemory; readonly vm: string; readonly capture: number },
): Promise<void> {
  const events = await of.memory.judged;
  const split = countIn(events, 'LargePageSplit');
  const restored = countIn(events, 'LargePageRestored');
  const reclaimedBytes = reclaimedIn(events);
  const { vm, capture } = of;
  if (output.isJson) output.json({ vm, capture, split, restored, reclaimedBytes });
  tell(
    command,
    split + restored === 0
      ? 'nothing was decided of the regions that were looked at: the interval was cut short, or none is held large'
      : `by what was asked for in the interval ${split} regions are split, which gives ${bytesText(reclaimedBytes)} back, and ${restored} held large`,
  );
}
