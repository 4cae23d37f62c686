// Walks the whole history in log order and tells a visitor of every change of every page table. For
// questions that need all VMs at every event; O(page events), memory one table a VM.

import type { Holding } from '../../domain/values/holding.ts';
import type { Position } from '../../domain/ports/event-log.ts';
import type { CaptureRow, VmEntry } from '../models/vm-entry.ts';
import { attachedHoldings } from '../attachments.ts';
import { decodeBatches, type CaptureChange, type Change } from '../commits.ts';
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
  /** A capture was folded whole; it is waited for. The memory is the walk's own: do not keep it. */
  readonly captured?: (
    entry: VmEntry,
    row: CaptureRow,
    memory: CapturedMemory,
  ) => void | Promise<void>;
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

async function walkChange(walk: Walk, change: Change): Promise<void> {
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
  const table = grow(walk, vm, entry.pagesAt(capture));
  write(walk, vm, { batches: change.batches, isWiped: row.isWiped });
  await visitor.captured?.(entry, row, { table, ...besideOf(walk, row, change) });
}

/** Makes room in a VM's table, and tells the visitor. */
function grow({ tables, visitor }: Walk, vm: string, pages: number): PageTable {
  const before = tables.get(vm) ?? unknownTable(0);
  const table = grownTable(before, pages);
  tables.set(vm, table);
  if (table !== before) visitor.added?.(vm, table.length - before.length);
  return table;
}

/** What the pages beside a capture's memory hold. */
function besideOf(
  { state }: Walk,
  row: CaptureRow,
  of: Pick<CaptureChange, 'device' | 'attachments'>,
): Omit<CapturedMemory, 'table'> {
  const device = of.device === null ? [] : [...holdingsOf(state.contents, of.device)];
  const attached = attachedHoldings(state.contents, row.attachments, of.attachments);
  return { device, attached };
}

/** Walks what is left of a VM from before history: the captures that stay, one VM after another. */
async function walkBefore(walk: Walk, entry: VmEntry): Promise<void> {
  const { state, visitor } = walk;
  const { history } = state.catalogue;
  const { vm, gone, retired } = entry;
  if (history === null) return;
  const rows = entry.captures.filter(({ position }) => position <= history.position);
  if (gone === null && rows.length === 0) return;
  const start = await state.tables.start(entry);
  grow(walk, vm, start.length);
  hold(walk, vm, start);
  for (const row of rows) {
    const decoded = decodeBatches(await state.tables.events(vm, row));
    const table = grow(walk, vm, entry.pagesAt(row.capture));
    write(walk, vm, { batches: decoded.batches, isWiped: row.isWiped });
    await visitor.captured?.(entry, row, { table, ...besideOf(walk, row, decoded) });
  }
  if (retired !== null && retired.position <= history.position)
    write(walk, vm, { batches: [], isWiped: true });
}

/** The pages of a VM hold this, whatever brought it about. */
function hold({ tables, visitor }: Walk, vm: string, holdings: PageTable): void {
  const table = tables.get(vm)!;
  for (const [gfn, next] of holdings.entries()) {
    const old = table[gfn]!;
    table[gfn] = next;
    if (old !== next) visitor.page?.(vm, gfn, old, next);
  }
}

/** Walks the log from its start to the position the state is folded to. */
export async function walkTables(
  ports: { readonly state: LedgerState; readonly replay: Replay },
  visitor: TableVisitor,
): Promise<void> {
  const walk: Walk = { state: ports.state, tables: new Map(), visitor };
  const { state } = ports;
  const end: Position = state.next;
  for (const entry of state.catalogue.vms.values()) await walkBefore(walk, entry);
  await ports.replay(state.start, async (change) => {
    if (change.position < end) await walkChange(walk, change);
  });
}
