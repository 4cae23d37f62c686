// Tables of who owns pages.

import { PAGE_BYTES } from '../../../domain/values/page.ts';
import type { ChangedPages } from '../../../domain/guest/owner-changes.ts';
import type { PageOwner } from '../../../domain/guest/owner-table.ts';
import { changedPagesRow } from '../rows/guest-rows.ts';
import { bytesText, field, numeric, type Column, type Output } from './output.ts';

/** Earlier owners that are named in a line. */
const TOLD_MAX = 3;

/** An owner and its pages, in columns. */
export const OWNED_PAGES_COLUMNS: readonly Column[] = [
  field('owner'),
  numeric('pid'),
  numeric('pages'),
  {
    title: 'bytes',
    align: 'right',
    cell: ({ pages }) => bytesText(Number(pages) * PAGE_BYTES),
  },
];

/** An owner in a few words: a process by its name and number. */
const ownerText = ({ owner, pid, command }: PageOwner): string =>
  pid === null ? owner : `${command ?? ''} (${pid})`;

const beforeText = ({ before }: ChangedPages): string => {
  if (before === null) return 'not known';
  const told = before.slice(0, TOLD_MAX).map((was) => `${was.pages} ${ownerText(was)}`);
  const others = before.slice(TOLD_MAX).reduce((sum, { pages }) => sum + pages, 0);
  return [...told, ...(others > 0 ? [`${others} others`] : [])].join(', ') || '-';
};

/** Owners of pages that differ, and whose those were before that were somebody else's. */
export function showChangedPages(output: Output, changed: readonly ChangedPages[]): void {
  const rows = changed.map((row) => ({
    ...changedPagesRow('', row),
    beforeText: beforeText(row),
  }));
  output.rows(rows, [
    ...OWNED_PAGES_COLUMNS,
    field('command'),
    field('beforeText', 'of another before'),
  ]);
}
