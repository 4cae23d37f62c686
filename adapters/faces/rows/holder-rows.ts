// Who holds a content, as rows.

import type { Holder } from '../../../projections/questions/who.ts';
import type { Row } from './row.ts';

/** A holding, and what is held. */
export const holderRow = (
  { vm, gfn, group, from, to, retiredAt }: Holder,
  identifier: string | null,
): Row => ({
  vm,
  gfn,
  group,
  from,
  to,
  retiredAt: retiredAt === null ? null : String(retiredAt),
  identifier,
});
