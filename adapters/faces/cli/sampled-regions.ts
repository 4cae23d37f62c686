// What a command is told to look at of large pages, and what it says of them.

import { setTimeout } from 'node:timers/promises';
import type { Command } from 'commander';
import type { ArrivingMemory, ArrivingOptions } from '../../wiring/restore/resume.ts';
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
  readonly trace?: boolean;
  readonly interval?: string;
  readonly threshold?: number;
}

/** What the options ask for; null: nothing is looked at. */
function samplingOf(options: SamplingOptions): SamplingRequest | null {
  const { sample, interval, threshold } = options;
  if (sample === undefined) {
    if (options.trace !== true && interval !== undefined)
      throw new UsageError('--interval goes with --sample or --trace');
    if (threshold !== undefined) throw new UsageError('--threshold goes with --sample');
    return null;
  }
  return { regions: sample, interval: intervalOf(options), threshold: threshold ?? COLD_BELOW };
}

/** What waits for as long as pages are withheld. */
function intervalOf({ interval = '10s' }: SamplingOptions): SamplingRequest['interval'] {
  const intervalMs = positiveDuration('--interval', interval);
  return (signal) => setTimeout(intervalMs, undefined, { signal });
}

/** What the options withhold from a guest for a while: the pages of some regions, all, or none. */
export function withheldOf(
  options: SamplingOptions,
): Pick<ArrivingOptions, 'sampling' | 'tracing'> {
  const sampling = samplingOf(options);
  if (sampling !== null) return { sampling };
  return options.trace === true ? { tracing: { interval: intervalOf(options) } } : {};
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
