// Who holds a content, as rows.

import type { Holder } from '../../../projections/questions/who.ts';
import { isoTime, type Row } from './row.ts';

/** A holding, and what is held. */
export const holderRow = (
  { vm, gfn, group, from, to, retiredAt, fromTimeMs, toTimeMs }: Holder,
  identifier: string | null,
): Row => ({
  vm,
  gfn,
  group,
  from,
  to,
  fromTime: fromTimeMs === null ? null : isoTime(fromTimeMs),
  toTime: toTimeMs === null ? null : isoTime(toTimeMs),
  retiredAt: retiredAt === null ? null : String(retiredAt),
  identifier,
});
