// Questions about the owners of pages: who owns those of a point, whose the pages are that differ between
// two points, how many of its pages a process has changed.

import { OwnerChanges, type ChangedPages } from '../../../domain/guest/owner-changes.ts';
import {
  FrameOwners,
  mappedBy,
  mappedPages,
  type OwnedPages,
} from '../../../domain/guest/owner-table.ts';
import { OWNERS, pageOwners } from '../../../domain/guest/page-owners.ts';
import type { Task } from '../../../domain/guest/tasks.ts';
import { describeGuest, tasksIn, type GuestPoint } from './guest.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { diffOf } from '../questions/pages.ts';
import type { PointMemory } from './point-memory.ts';
import { GuestReasons } from './vm-kernels.ts';
import type { VmPoint } from '../ledger/vm-point.ts';

/** A guest's memory at a point, and who owns its frames there. */
interface OwnedMemory {
  readonly memory: PointMemory;
  readonly owners: FrameOwners;
}

async function ownedMemory(ledger: Ledger, point: GuestPoint): Promise<OwnedMemory> {
  const guest = await describeGuest(ledger, point);
  const { memory, kernel, symbols, layouts } = guest;
  const owners = await pageOwners(kernel.memory, symbols, { layout: layouts().pages });
  const { reader, all } = tasksIn(guest);
  const tasks = await all();
  const mapped = await mappedBy(kernel.memory, reader, { tasks });
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
  const reasons = new GuestReasons();
  const before = await reasons.unlessGuest(a.entry.vm, () => ownedMemory(ledger, a));
  const [unknownBefore = null] = reasons.all;
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
  for await (const differing of diffOf(ledger, { a: since, b: point, withBytes: false }))
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
