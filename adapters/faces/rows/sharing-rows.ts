// How memory is made up, as a row.

import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { patternCounts } from '../../../projections/questions/pattern-classes.ts';
import type { SharingReport } from '../../../projections/questions/sharing-at.ts';
import type { Row } from './row.ts';

type Report = SharingReport & { readonly storedBytes: number; readonly logBytes: number };

export const perCent = (part: number, all: number): number =>
  all === 0 ? 0 : Math.round((1000 * part) / all) / 10;

/** Pages whose content is known: nothing is stored of the others, and nothing saved. */
export const knownPagesOf = ({ pages, unknown }: Report): number => pages - unknown;

/** Bytes that known pages would take alone, less what they do take. */
export const savedBytesOf = (report: Report): number =>
  knownPagesOf(report) * PAGE_BYTES - report.uniqueBytes;

export function sharingRow(report: Report): Row {
  const { classes, vm, ...counts } = report;
  const savedBytes = savedBytesOf(report);
  return {
    ...counts,
    patterns: patternCounts(classes),
    savedBytes,
    savedPerCent: perCent(savedBytes, knownPagesOf(report) * PAGE_BYTES),
    ...(vm === null ? {} : vm),
  };
}
