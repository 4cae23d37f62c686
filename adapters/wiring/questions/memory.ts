// Memory at a point for tools: what each page holds, as a table, and the bytes of pages.

import { CLASS_NONE } from '../../../domain/ports/page-engine.ts';
import { isPattern, type Holding } from '../../../domain/values/holding.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { refuse } from '../../../domain/values/refused.ts';
import { classOfPattern } from '../../../projections/questions/sharing-at.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { VmPoint } from '../ledger/vm-point.ts';

/** A VM's memory at a point, a number a page; both arrays are the caller's own. */
export interface PageClasses {
  /** What each page holds: equal numbers are equal content, inside one opening of the ledger. */
  readonly holdings: Uint32Array;
  /** The class of pattern of each page (`patternClassName`); CLASS_NONE for any other, also an unknown one. */
  readonly classes: Uint8Array;
}

/** What every page of a VM holds at a point, from the page table alone: no page is read. */
export async function classesAt(ledger: Ledger, { entry, row }: VmPoint): Promise<PageClasses> {
  const { tables, contents } = ledger.state;
  const holdings = (await tables.at(entry, contents, row)).slice();
  const classes = new Uint8Array(holdings.length).fill(CLASS_NONE);
  for (let gfn = 0; gfn < holdings.length; gfn += 1) {
    const holding: Holding = holdings[gfn]!;
    if (isPattern(holding)) classes[gfn] = classOfPattern(contents, holding);
  }
  return { holdings, classes };
}

/**
 * The bytes of pages of a VM at a point, 4 KiB each, in the order asked for. GFN_OUT_OF_RANGE for a page
 * that the VM does not have; POINT_DAMAGED, PACK_MISSING, PACK_DAMAGED where one cannot be given.
 */
export async function readPages(
  ledger: Ledger,
  { entry, row }: VmPoint,
  gfns: ArrayLike<number>,
): Promise<Uint8Array> {
  const { tables, contents } = ledger.state;
  const table = await tables.at(entry, contents, row);
  const holdings = Uint32Array.from(gfns, (gfn) => {
    const holding = table[gfn];
    if (holding !== undefined) return holding;
    throw refuse({ _tag: 'GfnOutOfRange', vm: entry.vm, gfn, pages: table.length });
  });
  const pages = await ledger.pageReader();
  return pages.read(holdings, new Uint8Array(holdings.length * PAGE_BYTES));
}
