// Runs of known bytes: freed objects of a slab, red zones, pages of poison.

import { PAGE_BYTES } from '../values/page.ts';
import { isKnown, RUNS_MAX, RUNS_UNIT_BYTES_MAX, type Run } from './grammar.ts';
import { shortestPeriod } from './periods.ts';

/** The runs of equal bytes, or null where they are more than RUNS_MAX. */
function runsIn(bytes: Uint8Array): readonly Run[] | null {
  const runs: Run[] = [];
  for (let at = 0; at < bytes.length;) {
    if (runs.length === RUNS_MAX) return null;
    const byte = bytes[at]!;
    let end = at + 1;
    while (end < bytes.length && bytes[end] === byte) end += 1;
    runs.push({ byte, lengthBytes: end - at });
    at = end;
  }
  return runs;
}

/** The runs that make up a page, or the unit that it repeats; null where it holds anything else. */
export function runsOf(page: Uint8Array): readonly Run[] | null {
  if (!isKnown(page)) return null;
  const period = shortestPeriod(page);
  return runsIn(page.subarray(0, period <= RUNS_UNIT_BYTES_MAX ? period : PAGE_BYTES));
}
