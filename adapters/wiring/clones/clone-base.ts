// Bases of clones: points that are files on this host, and how other points lie in them.

import { chosenBase, type BaseMatch } from '../../../domain/clone-bases.ts';
import { heldInBase } from '../../../domain/clones.ts';
import { accepted } from '../../../domain/ports/run.ts';
import { ZERO } from '../../../domain/values/holding.ts';
import { isLedgerError } from '../../../domain/values/ledger-error.ts';
import { PAGE_BYTES, REGION_PAGES } from '../../../domain/values/page.ts';
import { blockLayoutOf } from '../../../domain/values/raw-layout.ts';
import { isRefused, refuse } from '../../../domain/values/refused.ts';
import { memoryMapOf } from '../../../projections/models/page-tables.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { tableOf, type VmPoint } from '../ledger/vm-point.ts';

/** A file that clones map: a block of memory at a point. */
export interface CloneBase {
  readonly point: VmPoint;
  readonly block: string;
  readonly path: string;
}

/** The block of memory that clones of a VM map: the first, its main RAM. */
export const mappedBlockOf = (point: VmPoint): string => memoryMapOf(point).blocks[0]!.name;

/**
 * Where in all memory of a point, which is given as well, a clone has pages from its base, and the bytes of
 * the block: none of the regions that it holds large, but for zeros. Refused where the blocks differ in size;
 * POINT_DAMAGED.
 */
export async function inBase(
  ledger: Ledger,
  point: VmPoint,
  { point: of, block }: CloneBase,
  large: ReadonlySet<number> = new Set(),
): Promise<{
  readonly table: Uint32Array;
  readonly elsewhere: Uint8Array;
  readonly bytes: number;
}> {
  const table = await tableOf(ledger, point, { isWhole: true });
  const base = await tableOf(ledger, of, { isWhole: true });
  const piecesOf = (at: VmPoint) =>
    accepted(blockLayoutOf(memoryMapOf(at), { vm: at.entry.vm, block })).pieces;
  const [own] = piecesOf(point);
  const [theirs] = piecesOf(of);
  if (own!.pages !== theirs!.pages) {
    const told = ({ pages }: { readonly pages: number }) =>
      `${pages * PAGE_BYTES} bytes of ${block}`;
    const { vm } = point.entry;
    throw refuse({ _tag: 'MemoryChanged', vm, was: told(theirs!), now: told(own!) });
  }
  const elsewhere = heldInBase({ table, base, own: own!, theirs: theirs! });
  for (const region of large)
    for (let page = region * REGION_PAGES; page < (region + 1) * REGION_PAGES; page += 1)
      if (table[page] !== ZERO) elsewhere[page] = 0;
  return { table, elsewhere, bytes: own!.pages * PAGE_BYTES };
}

/** How a point lies in a base. Refused as `inBase` is. */
async function matchOf(ledger: Ledger, point: VmPoint, base: CloneBase): Promise<BaseMatch> {
  const { table, elsewhere, bytes } = await inBase(ledger, point, base);
  let common = 0;
  let sent = bytes / PAGE_BYTES;
  for (const [page, is] of elsewhere.entries()) {
    sent -= is;
    if (is === 1 && table[page] !== ZERO) common += 1;
  }
  return { common, sent };
}

/** Bases that are held against a point: each is another page table. */
const BASES_MAX = 16;

/** The base that so many clones of a point map, of those that are there; null: one of their own. */
export async function baseFor(
  ledger: Ledger,
  point: VmPoint,
  { bases, clones }: { readonly bases: readonly CloneBase[]; readonly clones: number },
): Promise<CloneBase | null> {
  const { vm } = point.entry;
  const { capture } = point.row;
  const itself = bases.find(({ point: of }) => of.entry.vm === vm && of.row.capture === capture);
  if (itself !== undefined) return itself;
  const matches: { readonly base: CloneBase; readonly match: BaseMatch }[] = [];
  for (const base of bases.slice(0, BASES_MAX))
    try {
      matches.push({ base, match: await matchOf(ledger, point, base) });
    } catch (thrown) {
      // Of another size, or damaged: it is none for these.
      if (!isLedgerError(thrown) && !isRefused(thrown)) throw thrown;
    }
  const chosen = chosenBase(
    matches.map(({ match }) => match),
    clones,
  );
  return chosen === null ? null : matches[chosen]!.base;
}
