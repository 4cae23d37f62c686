// Memory that a dump tells of without having it: what it held is unknown. Tools that dump a kernel leave
// out most of what is not the kernel's, and do not tell that from zeros.

import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { dumpUnfit, hexOf, type DumpFile } from './dump-file.ts';
import { endOfRun, type MemoryRun } from './memory-run.ts';

/**
 * Most pages that are left out for one that is there. A kernel's own table of all pages is in every dump,
 * and takes a page for each 64 or so: a file that has less of it lies about what it is of.
 */
const LEFT_OUT_PER_PAGE_MAX = 1024;

/** Memory that is not in the file. */
export interface LeftOut {
  /** Whole pages, ascending. */
  readonly runs: readonly MemoryRun[];
  /** How that came about, and what to do, as the end of a sentence. */
  readonly why: string;
}

/**
 * What of `all` is not in `known`, both ascending: runs of it that overlap count once. SOURCE_FORMAT where
 * that is a part of a page.
 */
export function leftOut(
  { label }: Pick<DumpFile, 'label'>,
  all: readonly MemoryRun[],
  known: readonly MemoryRun[],
): readonly MemoryRun[] {
  const runs: MemoryRun[] = [];
  const add = (address: number, length: number): void => {
    if (address % PAGE_BYTES !== 0 || length % PAGE_BYTES !== 0)
      throw dumpUnfit(
        label,
        `leaves out ${length} bytes at ${hexOf(address)}, which are no whole pages`,
        'it is damaged; copy or dump it again',
      );
    runs.push({ address, length });
  };
  let next = 0;
  let from = 0;
  for (const run of all) {
    const end = endOfRun(run);
    from = Math.max(from, run.address);
    while (from < end) {
      while (next < known.length && endOfRun(known[next]!) <= from) next += 1;
      const after = known[next];
      const until = Math.min(end, after?.address ?? end);
      if (until > from) add(from, until - from);
      from = Math.min(end, after === undefined ? end : Math.max(from, endOfRun(after)));
    }
  }
  return runs;
}

/** How many pages are left out, and why: what a person should know. */
export const leftOutText = (pages: number, why: string): string =>
  `what ${pages} of the dump's pages held is unknown: ${why}`;

/** Refuses a dump that has next to nothing of what it tells of. SOURCE_FORMAT. */
export function checkLeftOut(
  { label }: Pick<DumpFile, 'label'>,
  of: { readonly pages: number; readonly leftOut: number },
): void {
  const known = of.pages - of.leftOut;
  if (of.leftOut <= known * LEFT_OUT_PER_PAGE_MAX) return;
  throw dumpUnfit(
    label,
    `has ${known} of the ${of.pages} pages that it tells of`,
    'no dump of a kernel leaves so much out; it is damaged, so copy or dump it again',
  );
}
