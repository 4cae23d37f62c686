// Questions about the owners of pages: who owns those of a point, whose the pages are that differ between
// two points, how many of its pages a process has changed.

import { OwnerChanges, type ChangedPages } from '../../../domain/guest/owner-changes.ts';
import { mappedPages, type OwnedPages } from '../../../domain/guest/owner-table.ts';
import { OWNERS, pageOwners } from '../../../domain/guest/page-owners.ts';
import type { Task } from '../../../domain/guest/tasks.ts';
import { frameOwners } from './frame-owners.ts';
import { describeGuest, tasksIn, type DescribedGuest, type GuestPoint } from './guest.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { diffOf } from '../questions/pages.ts';
import { GuestReasons } from './vm-kernels.ts';
import type { VmPoint } from '../ledger/vm-point.ts';

/** Who owns the pages of a guest at a point, by what its kernel says of each; they sum up to all pages. */
export async function ownersOf(ledger: Ledger, point: GuestPoint): Promise<readonly OwnedPages[]> {
  const guest = await describeGuest(ledger, point);
  const { memory } = guest;
  const owners = await frameOwners(guest, null);
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
 * and GUEST_INVALID of the later one; the earlier one may be of a time before the kernel ran. Cost: the two
 * tables of pages, and at both points the descriptions of what differs, and the page tables of processes.
 */
export async function differenceByOwner(
  ledger: Ledger,
  { a, b }: { readonly a: GuestPoint; readonly b: GuestPoint },
): Promise<OwnedDifference> {
  const reasons = new GuestReasons();
  const later = await describeGuest(ledger, b);
  const earlier = await reasons.unlessGuest(a.entry.vm, () => describeGuest(ledger, a));
  const sides = {
    a: earlier === null ? a : { ...a, table: earlier.memory.table },
    b: { ...b, table: later.memory.table },
  };
  const gfns: number[] = [];
  for await (const differing of diffOf(ledger, { ...sides, withBytes: false }))
    for (const { gfn } of differing) gfns.push(gfn);
  const framesOf = ({ memory }: DescribedGuest) => gfns.map((gfn) => memory.frameOf(gfn));
  const ownersIn = (guest: DescribedGuest) =>
    frameOwners(
      guest,
      framesOf(guest).filter((frame) => frame !== null),
    );
  const after = await ownersIn(later);
  const before =
    earlier === null ? null : await reasons.unlessGuest(a.entry.vm, () => ownersIn(earlier));
  const changes = new OwnerChanges({ before, after });
  const framesBefore = before === null ? null : framesOf(earlier!);
  for (const [i, frame] of framesOf(later).entries())
    changes.add({ before: framesBefore?.[i] ?? null, after: frame });
  const [unknownBefore = null] = reasons.all;
  return { rows: changes.rows(), pages: gfns.length, unknownBefore };
}

/** A process, and how many of the pages that it has mapped differ from an earlier point. */
export interface ChangedTask extends Task {
  readonly changed: number;
}

/** Whose pages count as resident: those of processes, and of files that they have mapped. */
const RESIDENT = ['anonymous', 'file'].map((owner) => OWNERS.findIndex((each) => each === owner));

/**
 * The processes of a guest at a point, and how many of their resident pages were otherwise at another
 * point: like `pages`, a page that several have mapped counts for each. Cost: as of the processes, the
 * descriptions of what changed, and all page tables of processes.
 */
export async function processesSince(
  ledger: Ledger,
  { point, since }: { readonly point: GuestPoint; readonly since: VmPoint },
): Promise<readonly ChangedTask[]> {
  const guest = await describeGuest(ledger, point);
  const { memory, kernel, symbols, layouts } = guest;
  const { reader, all } = tasksIn(guest);
  const tasks = await all();
  const changed: number[] = [];
  for await (const differing of diffOf(ledger, {
    a: since,
    b: { ...point, table: memory.table },
    withBytes: false,
  }))
    for (const { gfn } of differing) {
      const frame = memory.frameOf(gfn);
      if (frame !== null) changed.push(frame);
    }
  const layout = layouts().pages;
  const owners = await pageOwners(kernel.memory, symbols, { layout, wanted: changed });
  const isCounted = new Uint8Array(memory.frames);
  for (const frame of changed) if (RESIDENT.includes(owners[frame]!)) isCounted[frame] = 1;
  const counts = await mappedPages(kernel.memory, reader, { tasks, isCounted });
  return tasks.map((task, i) => ({ ...task, changed: counts[i]! }));
}
