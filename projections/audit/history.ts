// Every version of one page (brief, section 5, `history`). Cost: the VM's batches are read once, and
// the whole log once more for the sharers of each version; an index is a later step.

import {
  hasReference,
  KIND_MASK,
  KIND_STORED,
  type PageColumns,
} from '../../domain/page-columns.ts';
import { FIRST_CONTENT, isContent, type Holding } from '../../domain/page-writes.ts';
import type { Position } from '../../domain/ports.ts';
import type { CaptureRow, VmEntry } from '../catalogue.ts';
import { holdingsOf } from '../page-tables.ts';
import type { LedgerState, Replay } from '../ledger-state.ts';
import { walkTables } from './table-walk.ts';

export interface PageVersion {
  readonly capture: number;
  readonly position: Position;
  readonly timeMs: number;
  readonly gfn: number;
  readonly outcome: 'stored' | 'merged' | 'pattern';
  readonly holding: Holding;
  /** This page's part of its stored block, for a page stored by this write; else 0. */
  readonly storedBytes: number;
  /** Other (VM, gfn) that hold the content right after the capture. */
  readonly sharers: number;
}

/** The row of a gfn in ascending gfns, or -1. */
export function rowOfGfn(gfns: Uint32Array, gfn: number): number {
  let low = 0;
  let high = gfns.length - 1;
  while (low <= high) {
    const middle = (low + high) >>> 1;
    if (gfns[middle] === gfn) return middle;
    if (gfns[middle]! < gfn) low = middle + 1;
    else high = middle - 1;
  }
  return -1;
}

/** Bytes that a stored page takes: its part of its block. */
export function storedBytesOf(state: LedgerState, holding: Holding): number {
  const content = holding - FIRST_CONTENT;
  const pack = state.contents.packOf(content);
  let slot = content - pack.firstContent;
  for (let block = 0; block < pack.blocks.pages.length; block += 1) {
    const pages = pack.blocks.pages[block]!;
    if (slot < pages) return Math.round(pack.blocks.lengths[block]! / pages);
    slot -= pages;
  }
  return 0;
}

/** Whether a recorded store folds as one: no equal content came before it. */
export function isStoreFolded(state: LedgerState, columns: PageColumns, row: number): boolean {
  if ((columns.kinds[row]! & KIND_MASK) !== KIND_STORED) return false;
  const pack = state.contents.byName(columns.packs[columns.packIndexes[row]!]!);
  return pack !== undefined && !state.contents.aliases.has(pack.firstContent + columns.slots[row]!);
}

function versionIn(
  state: LedgerState,
  row: CaptureRow,
  columns: PageColumns,
  gfn: number,
): Omit<PageVersion, 'sharers'> | null {
  const at = rowOfGfn(columns.gfns, gfn);
  if (at < 0) return null;
  const holding = holdingsOf(state.contents, columns)[at]!;
  const isStored = isContent(holding) && isStoreFolded(state, columns, at);
  // By the kind, not the holding: content that is lost is no pattern.
  const isPattern = !hasReference(columns.kinds[at]!);
  const outcome = isPattern ? 'pattern' : isStored ? 'stored' : 'merged';
  const storedBytes = outcome === 'stored' ? storedBytesOf(state, holding) : 0;
  const { capture, position, timeMs } = row;
  return { capture, position, timeMs, gfn, outcome, holding, storedBytes };
}

/** Versions of a page, oldest first. */
export async function pageHistory(
  ports: { readonly state: LedgerState; readonly replay: Replay },
  entry: VmEntry,
  gfn: number,
): Promise<readonly PageVersion[]> {
  const { state } = ports;
  const found: Omit<PageVersion, 'sharers'>[] = [];
  for (const row of entry.captures)
    for await (const columns of state.tables.batches(entry.vm, row)) {
      const version = versionIn(state, row, columns, gfn);
      if (version !== null) found.push(version);
    }
  const holders = new Map<Holding, number>();
  for (const { holding } of found) if (isContent(holding)) holders.set(holding, 0);
  const sharers = new Map<Position, number>();
  const holdingAt = new Map(found.map(({ position, holding }) => [position, holding]));
  const shift = (holding: Holding, by: number): void => {
    const count = holders.get(holding);
    if (count !== undefined) holders.set(holding, count + by);
  };
  await walkTables(ports, {
    page: (_vm, _gfn, old, next) => {
      shift(old, -1);
      shift(next, 1);
    },
    captured: (_entry, row) => {
      const holding = holdingAt.get(row.position);
      if (holding !== undefined) sharers.set(row.position, (holders.get(holding) ?? 1) - 1);
    },
  });
  return found.map((version) => ({ ...version, sharers: sharers.get(version.position) ?? 0 }));
}
