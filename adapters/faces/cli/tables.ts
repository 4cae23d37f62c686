// Tables that several commands print.

import type { Holder } from '../../../projections/questions/who.ts';
import { holderRow } from '../rows/holder-rows.ts';
import type { Row } from '../rows/row.ts';
import { field, leftOut, mayBeCut, numeric, type Column } from './output.ts';

export const CAPTURE_COLUMNS: readonly Column[] = [
  numeric('capture'),
  leftOut(4, numeric('position')),
  field('time'),
  numeric('written'),
  numeric('stored'),
  leftOut(1, numeric('merged')),
  leftOut(1, numeric('pattern')),
  leftOut(3, numeric('unchanged')),
  {
    title: 'pause',
    align: 'right',
    cell: ({ pauseMs }) => (typeof pauseMs === 'number' ? `${pauseMs.toFixed(1)} ms` : '-'),
  },
  leftOut(6, field('mode')),
];

export const HOLDER_COLUMNS: readonly Column[] = [
  mayBeCut(field('vm', 'VM')),
  numeric('gfn'),
  leftOut(2, field('group')),
  field('fromText', 'from'),
  field('fromTime', ''),
  field('toText', 'until'),
  { title: '', cell: ({ toTime }) => (typeof toTime === 'string' ? toTime : '') },
];

const endOf = ({ to, retiredAt }: Holder): string => {
  if (to !== null) return `@${to}`;
  return retiredAt === null ? 'held' : 'retired';
};

/** A holding as people read it. */
export const holderTexts = (holder: Holder): Row => ({
  ...holderRow(holder, null),
  fromText: `@${holder.from}`,
  toText: endOf(holder),
});
