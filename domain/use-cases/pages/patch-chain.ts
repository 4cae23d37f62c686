// From what a page holds to what has to be read for it: the place of its content, and, where that is a
// patch, the place of what it is a patch of. The pages there, XORed, are the page.

import { isInPack, isTold, UNKNOWN, UNTOLD, ZERO, type Holding } from '../../values/holding.ts';
import { LedgerError } from '../../values/ledger-error.ts';
import type { PageLocator } from '../../ports/models.ts';

/**
 * Patches that may lie upon each other: there are more than one only where several hosts wrote at
 * once, and more than these are no ledger of ours.
 */
const PATCHES_MAX = 8;
/** Places of the longest chain. */
export const CHAIN_MAX = PATCHES_MAX + 1;

/** Raises POINT_DAMAGED where what a page of the table held is lost. */
export function assertUndamaged(table: Uint32Array, label: string): void {
  const gfn = table.indexOf(UNKNOWN);
  if (gfn < 0) return;
  throw new LedgerError(
    'POINT_DAMAGED',
    `${label} cannot be restored: what page ${gfn} held is lost, because events of this VM or of a pack it used are damaged; \`pageledger verify\` names them and the points that are whole`,
    { gfn },
  );
}

/** Pages of a table of which no source told what they held. */
export function untoldIn(table: Uint32Array): number {
  let pages = 0;
  for (let page = table.indexOf(UNTOLD); page >= 0; page = table.indexOf(UNTOLD, page + 1))
    pages += 1;
  return pages;
}

/** Raises PAGE_UNKNOWN where the source of a capture did not tell what pages of the table held. */
export function assertTold(table: Uint32Array, label: string): void {
  const pages = untoldIn(table);
  if (pages === 0) return;
  const first = table.indexOf(UNTOLD);
  throw new LedgerError(
    'PAGE_UNKNOWN',
    `what ${pages} of the ${table.length} pages of ${label} held is unknown, from page ${first} on: the dump that it was recorded from leaves them out; \`restore --unknown zero\`, and \`serve nbd\` and \`mount\` with the same, give zeros for them`,
    { pages, of: table.length, first },
  );
}

/** Raises POINT_DAMAGED or PAGE_UNKNOWN where it is not known what a page of the table held. */
export function assertWhole(table: Uint32Array, label: string): void {
  assertUndamaged(table, label);
  assertTold(table, label);
}

/** A table with zeros for pages of which no source told what they held: itself where there are none. */
export function untoldAsZeros(table: Uint32Array): Uint32Array {
  return table.includes(UNTOLD)
    ? table.map((holding) => (holding === UNTOLD ? ZERO : holding))
    : table;
}

/** Where a holding lies. POINT_DAMAGED where it is gone, PAGE_UNKNOWN where nobody told of it. */
function knownPlaceOf(locator: PageLocator, holding: Holding): number {
  if (holding === UNTOLD)
    throw new LedgerError(
      'PAGE_UNKNOWN',
      'what a page held is unknown: the dump that it was recorded from leaves it out',
    );
  const place = holding === UNKNOWN ? -1 : locator.placeOf(holding);
  if (place >= 0) return place;
  throw new LedgerError(
    'POINT_DAMAGED',
    'a page cannot be restored: what it held, or what it is a patch of, is lost or was forgotten; run `pageledger verify`',
  );
}

/** Whether a page that holds this is read; others are zeros or made. What is not known would have been. */
export const isRead = (holding: Holding): boolean => isInPack(holding) || !isTold(holding);

/**
 * Puts the places of a holding that is read into `chain`, which has room for CHAIN_MAX: its own first,
 * that of a whole page last; how many they are. POINT_DAMAGED where one is gone, or there is no end:
 * such a chain may go round in circles.
 */
export function chainOf(locator: PageLocator, holding: Holding, chain: Float64Array): number {
  let next: Holding | null = holding;
  let length = 0;
  for (; next !== null; length += 1) {
    if (length === CHAIN_MAX)
      throw new LedgerError(
        'POINT_DAMAGED',
        'a page cannot be restored: it is a patch of a patch, and so on without end; run `pageledger verify`, and restore the log from a copy',
      );
    const place = knownPlaceOf(locator, next);
    chain[length] = place;
    next = locator.referenceAt(place);
  }
  return length;
}
