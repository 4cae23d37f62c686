// Whether a trace tells all that a guest uses, or only where it began to. A guest that is given storage
// blocks asks for a page or two of each, as the others came with them: what it uses of these nobody
// knows. One that was given single pages asked for each that it uses.

import type { PageNeighbours } from './page-neighbours.ts';

/**
 * From this share of the pages of the storage blocks in which a trace lies, it is one of single pages. Of
 * a Linux guest that prints its first line such a trace is a sixth of them, one of a guest that was given
 * storage blocks a seventieth, and 3 in 100 after four restores.
 */
const WHOLE_SHARE = 1 / 16;

/** Whether pages that were asked for, each of them once, are all that the guest uses. */
export function isWholeTrace(asked: ReadonlySet<number>, neighbours: PageNeighbours): boolean {
  const around = new Set<number>();
  for (const page of asked) {
    if (around.has(page)) continue;
    around.add(page);
    for (const each of neighbours.storageBlock(page)) around.add(each);
  }
  return asked.size > 0 && asked.size >= around.size * WHOLE_SHARE;
}
