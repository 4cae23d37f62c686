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
  const rows = entry.captures.filter(({ capture }) => isMeant(entry, capture));
  const follows = (i: number): boolean => rows[i - 1]?.capture === rows[i]!.capture - 1;
  const needsEvents = (row: CaptureRow, i: number): boolean => follows(i) || hasBeside(row);
  const events = tables.eventsOfEach(entry.vm, rows.filter(needsEvents));
  try {
    for (const [i, row] of rows.entries()) {
      const decoded = decodeBatches(needsEvents(row, i) ? (await events.next()).value! : []);
      yield {
        row,
        table: follows(i) ? null : await tables.at(entry, contents, row),
        writes: follows(i)
          ? decoded.batches.map((columns) => ({
              gfns: columns.gfns,
              holdings: holdingsOf(contents, columns),
            }))
          : [],
        beside: allHoldingsOf(contents, besideOf(decoded)),
      };
    }
  } finally {
    await events.return(undefined);
  }
}
