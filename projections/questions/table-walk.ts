// Walks the whole history in log order and tells a visitor of every change of every page table. For
// questions that need all VMs at every event; O(page events), memory one table a VM.

import { pageCountOf } from '../../domain/values/memory-map.ts';
import { UNKNOWN, type Holding } from '../../domain/values/holding.ts';
import type { Position } from '../../domain/ports/event-log.ts';
import type { CaptureRow, VmEntry } from '../models/catalogue.ts';
import { LOG_START, type Change } from '../commits.ts';
import type { LedgerState, Replay } from '../models/ledger-state.ts';
import { holdingsOf, type PageTable } from '../models/page-tables.ts';

export interface TableVisitor {
  /** A page of a VM holds `next` instead of `old` (UNKNOWN before its first write). */
  readonly page?: (vm: string, gfn: number, old: Holding, next: Holding) => void;
  /** A capture was folded whole. The memory is the walk's own: read it, do not keep it. */
  readonly captured?: (entry: VmEntry, row: CaptureRow, memory: CapturedMemory) => void;
}

export interface CapturedMemory {
  readonly table: PageTable;
  /** What the pages of the device state hold; empty where there is none. */
  readonly device: readonly Holding[];
}

interface Walk {
  readonly state: LedgerState;
  readonly tables: Map<string, PageTable>;
  readonly visitor: TableVisitor;
}

function setPage(walk: Walk, vm: string, table: PageTable, gfn: number, next: Holding): void {
  const old = table[gfn]!;
  table[gfn] = next;
  if (old !== next) walk.visitor.page?.(vm, gfn, old, next);
}

function wipe(walk: Walk, vm: string, table: PageTable): void {
  for (let gfn = 0; gfn < table.length; gfn += 1) setPage(walk, vm, table, gfn, UNKNOWN);
}

function walkChange(walk: Walk, change: Change): void {
  const { state, tables, visitor } = walk;
  if (change._tag === 'control' && change.event.type === 'VmRetired') {
    const table = tables.get(change.event.data.vm);
    if (table !== undefined) wipe(walk, change.event.data.vm, table);
  }
  if (change._tag !== 'capture') return;
  const { vm, capture } = change.committed;
  const entry = state.catalogue.vms.get(vm);
  const row = entry?.capture(capture);
  const registered = entry?.state.registered ?? null;
  if (entry === undefined || row === undefined || registered === null) return;
  let table = tables.get(vm);
  if (table === undefined) {
    table = new Uint32Array(pageCountOf(registered.memoryMap)).fill(UNKNOWN);
    tables.set(vm, table);
  }
  if (row.isWiped) wipe(walk, vm, table);
  for (const columns of change.batches) {
    const holdings = holdingsOf(state.contents, columns);
    for (let i = 0; i < holdings.length; i += 1) {
      const gfn = columns.gfns[i]!;
      if (gfn < table.length) setPage(walk, vm, table, gfn, holdings[i]!);
    }
  }
  const device = change.device === null ? [] : [...holdingsOf(state.contents, change.device)];
  visitor.captured?.(entry, row, { table, device });
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
