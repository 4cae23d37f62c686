// Bases of clones: points that are files on this host, and how other points lie in them.

import { heldInBase } from '../../../domain/clones.ts';
import { accepted } from '../../../domain/ports/run.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { blockLayoutOf } from '../../../domain/values/raw-layout.ts';
import { refuse } from '../../../domain/values/refused.ts';
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

/** Where in all memory of a point a clone has pages from its base, and the bytes of the block. */
export async function inBase(
  ledger: Ledger,
  point: VmPoint,
  { point: of, block }: CloneBase,
): Promise<{ readonly elsewhere: Uint8Array; readonly bytes: number }> {
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
  return { elsewhere, bytes: own!.pages * PAGE_BYTES };
}
