// Versions of pages, and pages that differ, as rows.

import { absentFrom, type PageDifference } from '../../../projections/questions/diff.ts';
import { patternClassName } from '../../../projections/questions/pattern-classes.ts';
import type { ShownVersion } from '../../wiring/questions/pages.ts';
import { isoTime, type Row } from './row.ts';

/** A version of a page, as `history` lists them. */
export const versionRow = (vm: string, version: ShownVersion, isForgotten: boolean): Row => ({
  vm,
  capture: version.capture,
  from: version.from,
  position: String(version.position),
  time: isoTime(version.timeMs),
  gfn: version.gfn,
  outcome: version.outcome,
  pattern: patternClassName(version.patternClass),
  identifier: version.identifier,
  storedBytes: version.storedBytes,
  sharers: version.sharers,
  sharersNow: version.sharersNow,
  forgotten: isForgotten,
});

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

export const addressText = (address: number): string => `0x${address.toString(16)}`;

/** A page that differs between two points. */
export const differenceRow = (
  vm: string,
  difference: PageDifference,
  address: number | null,
): Row => ({
  vm,
  gfn: difference.gfn,
  address: address === null ? null : addressText(address),
  absent: absentFrom(difference),
  ranges:
    difference.ranges?.map(({ offset, before, after }) => ({
      offset,
      length: before.length,
      before: hex(before),
      after: hex(after),
    })) ?? null,
});
