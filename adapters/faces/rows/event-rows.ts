// An event as programs read it: one object for `log` and for `subscribe`.

import type { EventRow } from '../../../projections/questions/event-rows.ts';
import { isoTime, type Row } from './row.ts';

export const eventJson = ({
  position,
  item,
  place,
  type,
  vm,
  timeMs,
  capture,
  facts,
}: EventRow): Row => ({
  position: String(position),
  item,
  place,
  type,
  vm,
  time: isoTime(timeMs),
  capture,
  ...facts,
});
