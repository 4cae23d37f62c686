// Walks the whole history in log order and tells a visitor of every change of every page table. For
// questions that need all VMs at every event; O(page events), memory one table a VM.

import type { Holding } from '../../domain/values/holding.ts';
import type { Position } from '../../domain/ports/event-log.ts';
import type { CaptureRow, VmEntry } from '../models/catalogue.ts';
import { attachedHoldings } from '../attachments.ts';
import { LOG_START, type Change } from '../commits.ts';
import type { LedgerState, Replay } from '../models/ledger-state.ts';
import {
  applyTold,
  applyWrites,
  grownTable,
  holdingsOf,
  unknownTable,
  type PageTable,
  type TableWrites,
} from '../table.ts';

export interface TableVisitor {
  /** A VM has so many pages more, of which nothing is known yet: with its first capture, or a later one. */
  readonly added?: (vm: string, pages: number) => void;
  /** A page of a VM holds `next` instead of `old` (UNKNOWN before its first write). */
  readonly page?: (vm: string, gfn: number, old: Holding, next: Holding) => void;
  /** A capture was folded whole. The memory is the walk's own: read it, do not keep it. */
  readonly captured?: (entry: VmEntry, row: CaptureRow, memory: CapturedMemory) => void;
}

export interface CapturedMemory {
  readonly table: PageTable;
  /** What the pages of the device state hold; empty where there is none. */
  readonly device: readonly Holding[];
  /** What the pages of each attachment hold, in the order of the commit's list. */
  readonly attached: readonly Uint32Array[];
}

interface Walk {
  readonly state: LedgerState;
  readonly tables: Map<string, PageTable>;
  readonly visitor: TableVisitor;
}

/** Writes into a VM's table, and tells the visitor what that changed. */
function write(walk: Walk, vm: string, writes: TableWrites): void {
  const { page } = walk.visitor;
  const table = walk.tables.get(vm)!;
  if (page === undefined) applyWrites(table, walk.state.contents, writes);
  else
    applyTold(table, walk.state.contents, writes, (gfn, old, next) => {
      page(vm, gfn, old, next);
    });
}

function walkChange(walk: Walk, change: Change): void {
  const { state, tables, visitor } = walk;
  if (change._tag === 'control' && change.event.type === 'VmRetired') {
    const { vm } = change.event.data;
    if (tables.has(vm)) write(walk, vm, { batches: [], isWiped: true });
  }
  if (change._tag !== 'capture') return;
  const { vm, capture } = change.committed;
  const entry = state.catalogue.vms.get(vm);
  const row = entry?.capture(capture);
  if (entry === undefined || entry.state.registered === null) return;
  // A commit that comes a second time is not the one that the row is of.
  if (row === undefined || row.position !== change.position) return;
  const before = tables.get(vm) ?? unknownTable(0);
  const table = grownTable(before, entry.pagesAt(capture));
  tables.set(vm, table);
  if (table !== before) visitor.added?.(vm, table.length - before.length);
  write(walk, vm, { batches: change.batches, isWiped: row.isWiped });
  const device = change.device === null ? [] : [...holdingsOf(state.contents, change.device)];
  const attached = attachedHoldings(state.contents, row.attachments, change.attachments);
  visitor.captured?.(entry, row, { table, device, attached });
}

/** Walks the log from its start to the position the state is folded to. */
export async function walkTables(
  ports: { readonly state: LedgerState; readonly replay: Replay },
  visitor: TableVisitor,
): Promise<void> {
  const walk: Walk = { state: ports.state, tables: new Map(), visitor };
  const end: Position = ports.state.next;
  await ports.replay(LOG_START, async (change) => {
    if (change.position < end) walkChange(walk, change);
  });
}
