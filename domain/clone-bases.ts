// Which of the points that are mounted on a host clones of another point map. What both hold at the same
// place is in the host's memory once then; what they hold otherwise each clone is sent, and has for itself.

/** How a point lies in a base, of the block of memory that clones map. */
export interface BaseMatch {
  /** Pages that both hold alike, but for zeros. */
  readonly common: number;
  /** Pages that each clone is sent. */
  readonly sent: number;
}

/**
 * The base that so many clones map, by its place among those that are mounted; null: one of their own.
 * That is a second copy of what they have in common with a mounted one, of which clones have no more than
 * they touch, but is sent to none; a mounted one is a page of each clone for every page that is sent. So it
 * is the one of which least is sent, as long as all that is sent is no more than what would be there twice.
 */
export function chosenBase(bases: readonly BaseMatch[], clones: number): number | null {
  let best: number | null = null;
  for (const [i, { common, sent }] of bases.entries()) {
    if (clones * sent > common) continue;
    if (best === null || sent < bases[best]!.sent) best = i;
  }
  return best;
}
