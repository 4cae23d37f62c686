// Large pages as rows.

import type { RankedRegion } from '../../../projections/questions/large-pages.ts';
import type { LargeOutcome } from '../../../projections/questions/large-replay.ts';
import type { LargePagesEvent } from '../../../domain/large-pages.ts';
import type { Row } from './row.ts';

export const regionRow = (vm: string, region: RankedRegion, isCold: boolean | null): Row => ({
  vm,
  ...region,
  cold: isCold,
});

export const outcomeRow = (vm: string, outcome: LargeOutcome): Row => ({ vm, ...outcome });

/** What events of one kind come to. */
export const countIn = (
  events: readonly LargePagesEvent[],
  type: LargePagesEvent['type'],
): number =>
  events
    .filter((event) => event.type === type)
    .reduce(
      (sum, event) =>
        sum +
        (event.type === 'LargePageSampled'
          ? event.data.regions.reduce((count, [first, last]) => count + last - first + 1, 0)
          : event.data.regions.length),
      0,
    );

/** Bytes that splits among these gave back. */
export const reclaimedIn = (events: readonly LargePagesEvent[]): number =>
  events
    .flatMap((event) => (event.type === 'LargePageSplit' ? event.data.regions : []))
    .reduce((sum, { bytes }) => sum + bytes, 0);
