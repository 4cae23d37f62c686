// The classes of patterns (docs/format.md, "Patterns") by the names that people and programs read.

import {
  CLASS_BYTE,
  CLASS_EDGED,
  CLASS_PERIOD,
  CLASS_STRING,
  CLASS_WORD16,
  CLASS_WORD32,
  CLASS_WORD64,
  CLASS_ZERO,
} from '../../domain/ports/page-engine.ts';

const NAMES: ReadonlyMap<number, string> = new Map([
  [CLASS_ZERO, 'zero'],
  [CLASS_BYTE, 'byte'],
  [CLASS_WORD16, 'word16'],
  [CLASS_WORD32, 'word32'],
  [CLASS_WORD64, 'word64'],
  [CLASS_PERIOD, 'period'],
  [CLASS_STRING, 'string'],
  [CLASS_EDGED, 'edged'],
]);

/** The name of a class; null: CLASS_NONE, or a class that this version does not know. */
export const patternClassName = (patternClass: number): string | null =>
  NAMES.get(patternClass) ?? null;

/** Pages by the names of their classes, those that have any; zeros are counted for themselves. */
export function patternCounts(classes: Float64Array): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const [patternClass, pages] of classes.entries()) {
    if (patternClass === CLASS_ZERO || pages === 0) continue;
    counts[patternClassName(patternClass) ?? `class ${patternClass}`] = pages;
  }
  return counts;
}
