// The table of what memory is made of.

import { PAGE_BYTES } from '../../../domain/values/page.ts';
import type { SharingCounts, SharingReport } from '../../../projections/questions/sharing-at.ts';
import type { Row } from '../rows/row.ts';
import { perCent } from '../rows/sharing-rows.ts';
import { bytesText, field, numeric, type Output } from './output.ts';

export const share = (part: number, all: number): string =>
  all === 0 ? '-' : `${perCent(part, all).toFixed(1)} %`;

/** What the table is of. */
type Counted = SharingCounts & Partial<Pick<SharingReport, 'heldLarge'>>;

function sharingRows(counts: Counted, patterns: Readonly<Record<string, number>>): Row[] {
  const unknown: [string, number][] = counts.unknown === 0 ? [] : [['unknown', counts.unknown]];
  const rows: [string, number][] = [
    ['zero', counts.zero],
    ['other patterns', counts.pattern],
    ...Object.entries(patterns).map(([name, pages]): [string, number] => [`  ${name}`, pages]),
    ['merged inside a VM', counts.mergedIntra],
    ['merged between VMs', counts.mergedInter],
    ['unique', counts.unique],
    ['  of them patched', counts.patched],
    ...(counts.heldLarge ? [['  of them held large', counts.heldLarge] as [string, number]] : []),
    ...unknown,
    ['all', counts.pages],
  ];
  return rows.map(([what, pages]) => ({
    what,
    pages,
    bytes: bytesText(pages * PAGE_BYTES),
    share: share(pages, counts.pages),
  }));
}

/** The table of what memory is made of; the counts themselves under --json. */
export function sharingTable(
  output: Output,
  counts: Counted,
  patterns: Readonly<Record<string, number>> = {},
): void {
  if (output.isJson) return output.json({ ...counts });
  output.rows(sharingRows(counts, patterns), [
    field('what', 'pages that are'),
    numeric('pages'),
    numeric('bytes'),
    numeric('share'),
  ]);
}
