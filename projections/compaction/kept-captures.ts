// The kept captures of a VM, in runs of captures that follow each other: the page table of the first,
// and the page events of the others.

import type { VmEntry, CaptureRow } from '../models/vm-entry.ts';
import { besideOf, decodeBatches } from '../commits.ts';
import type { LedgerState } from '../models/ledger-state.ts';
import { allHoldingsOf, holdingsOf, type PageTable } from '../table.ts';

/** What a kept capture holds beside, or instead of, what the one before it in its run does. */
export interface KeptCapture {
  readonly row: CaptureRow;
  /** The whole table, of the first of a run; the others' writes are in `writes`. Valid until the next. */
  readonly table: PageTable | null;
  readonly writes: readonly { readonly gfns: Uint32Array; readonly holdings: Uint32Array }[];
  /** What the pages of its device state and its attachments hold. */
  readonly beside: Uint32Array;
}

/** Whether a capture has pages that are no memory. */
export const hasBeside = ({ hasDevice, attachments }: CaptureRow): boolean =>
  hasDevice || attachments.length > 0;

/** Whether a capture of a VM is meant. */
export type CaptureFilter = (entry: VmEntry, capture: number) => boolean;

const isKept: CaptureFilter = (entry, capture) => !entry.isForgotten(capture);

/**
 * Captures of a VM, oldest first: those that can be restored, or others. O(pages) a run and O(page
 * events).
 */
export async function* keptCaptures(
  state: LedgerState,
  entry: VmEntry,
  isMeant = isKept,
): AsyncGenerator<KeptCapture> {
  const { contents, tables } = state;
  let before: CaptureRow | null = null;
  for (const row of entry.captures) {
    if (!isMeant(entry, row.capture)) continue;
    const follows = before !== null && before.capture === row.capture - 1;
    before = row;
    const needsEvents = follows || hasBeside(row);
    const decoded = decodeBatches(needsEvents ? await tables.events(entry.vm, row) : []);
    yield {
      row,
      table: follows ? null : await tables.at(entry, contents, row),
      writes: follows
        ? decoded.batches.map((columns) => ({
            gfns: columns.gfns,
            holdings: holdingsOf(contents, columns),
          }))
        : [],
      beside: allHoldingsOf(contents, besideOf(decoded)),
    };
  }
}
