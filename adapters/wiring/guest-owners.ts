// Questions about the owners of pages: who owns those of a point, whose the pages are that differ between
// two points.

import { OwnerChanges, type ChangedPages } from '../../domain/guest/owner-changes.ts';
import { FrameOwners, mappedBy, type OwnedPages } from '../../domain/guest/owner-table.ts';
import { pageOwners } from '../../domain/guest/page-owners.ts';
import { isGuestFailure } from '../../domain/guest/guest-failures.ts';
import { describeGuest, tasksIn, type GuestPoint } from './guest.ts';
import type { Ledger } from './ledger.ts';
import { diffOf } from './pages.ts';
import type { PointMemory } from './point-memory.ts';

/** A guest's memory at a point, and who owns its frames there. */
interface OwnedMemory {
  readonly memory: PointMemory;
  readonly owners: FrameOwners;
}

async function ownedMemory(ledger: Ledger, point: GuestPoint): Promise<OwnedMemory> {
  const guest = await describeGuest(ledger, point);
  const { memory, kernel, symbols, layouts } = guest;
  const owners = await pageOwners(kernel.memory, symbols, layouts().pages);
  const { reader, all } = tasksIn(guest);
  const tasks = await all();
  const mapped = await mappedBy(kernel.memory, reader, tasks);
  return { memory, owners: new FrameOwners({ owners, mapped, tasks }) };
}

/** Who owns the pages of a guest at a point, by what its kernel says of each; they sum up to all pages. */
export async function ownersOf(ledger: Ledger, point: GuestPoint): Promise<readonly OwnedPages[]> {
  const { memory, owners } = await ownedMemory(ledger, point);
  return owners.table(Array.from(memory.table, (_, gfn) => memory.frameOf(gfn)));
}

/** Pages that differ between two points. */
export interface OwnedDifference {
  /** Owners at the later point. */
  readonly rows: readonly ChangedPages[];
  readonly pages: number;
  /** Why it is not known whose pages were before; null: it is. */
  readonly unknownBefore: string | null;
}

/**
 * Whose the pages are that differ between two points, at the later of them and before. GUEST_UNDESCRIBED
 * and GUEST_INVALID of the later one; the earlier one may be of a time before the kernel ran.
 */
export async function differenceByOwner(
  ledger: Ledger,
  { a, b }: { readonly a: GuestPoint; readonly b: GuestPoint },
): Promise<OwnedDifference> {
  const after = await ownedMemory(ledger, b);
  let before: OwnedMemory | null = null;
  let unknownBefore: string | null = null;
  try {
    before = await ownedMemory(ledger, a);
  } catch (thrown) {
    if (!isGuestFailure(thrown)) throw thrown;
    unknownBefore = thrown.message;
  }
  const changes = new OwnerChanges({ before: before?.owners ?? null, after: after.owners });
  let pages = 0;
  for await (const differing of diffOf(ledger, { a, b, withBytes: false }))
    for (const { gfn } of differing) {
      pages += 1;
      const was = before?.memory.frameOf(gfn) ?? null;
      changes.add({ before: was, after: after.memory.frameOf(gfn) });
    }
  return { rows: changes.rows(), pages, unknownBefore };
}
