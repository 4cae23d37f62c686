// What a guest's memory said at moments of its history, as rows.

import type { ValueAt } from '../../wiring/time-travel/values.ts';
import { isoTime, type Row } from './row.ts';

/** Numbers of 64 bits are texts, as positions are. */
export const valueRow = (vm: string, { capture, timeMs, value }: ValueAt): Row => ({
  vm,
  capture,
  time: isoTime(timeMs),
  value: typeof value === 'bigint' ? String(value) : value,
});
