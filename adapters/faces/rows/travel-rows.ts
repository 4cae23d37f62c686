// What a guest's memory said at moments of its history, as rows.

import type { TimedPlace } from '../../wiring/time-travel/find.ts';
import type { ValueAt } from '../../wiring/time-travel/values.ts';
import { isoTime, type Row } from './row.ts';

/** Numbers of 64 bits are texts, as positions are. */
export const valueRow = (vm: string, { capture, timeMs, value }: ValueAt): Row => ({
  vm,
  capture,
  time: isoTime(timeMs),
  value: typeof value === 'bigint' ? String(value) : value,
});

const timeOrNull = (timeMs: number | null): string | null =>
  timeMs === null ? null : isoTime(timeMs);

/** Where bytes stood: from a capture on, to the first that had them there no longer. */
export const placeRow = ({ vm, gfn, offset, from, to, fromMs, toMs }: TimedPlace): Row => ({
  vm,
  gfn,
  offset,
  from,
  to: to === Infinity ? null : to,
  fromTime: timeOrNull(fromMs),
  toTime: timeOrNull(toMs),
});
