// A baseline for a copy of the log, whose events stand at other positions.

import type { LedgerFacts } from '../../domain/ledger.ts';
import type { Position } from '../../domain/ports/event-log.ts';
import type { BaselineState } from './baseline.ts';
import { catalogueOf, catalogueText } from './catalogue-state.ts';
import type { HostRow } from './host-rows.ts';
import { CaptureRows } from './capture-rows.ts';
import { Contents } from './contents.ts';
import { writeContents } from './contents-state.ts';
import { StateReader, StateWriter } from './state-bytes.ts';

/** Where an event stands, or the last one before a place that has none. */
type Moved = (position: Position) => Position;

function movedHost(row: HostRow, moved: Moved): HostRow {
  const { advertisedAt: at, arrivingFrom: from } = row;
  return {
    ...row,
    advertisedAt: at && { ...at, first: moved(at.first), last: moved(at.last) },
    arrivingFrom: from === null ? null : moved(from),
  };
}

function movedCatalogue(text: string, moved: Moved, ledger: LedgerFacts['ledger']): string {
  const catalogue = catalogueOf(text);
  catalogue.facts = { ...catalogue.facts, ledger: ledger ?? catalogue.facts.ledger };
  for (const [host, row] of catalogue.hosts) catalogue.hosts.set(host, movedHost(row, moved));
  for (const entry of catalogue.vms.values()) {
    // Nobody holds a point in the copy.
    entry.leases.length = 0;
    entry.clones.length = 0;
    const { captures, gone, retired } = entry;
    if (gone !== null) entry.gone = { ...gone, position: moved(gone.position) };
    if (retired !== null) entry.retired = { ...retired, position: moved(retired.position) };
    entry.rows = new CaptureRows();
    for (const row of captures) {
      const range = { ...row.range, fromPosition: moved(row.range.fromPosition) };
      entry.rows.push({ ...row, position: moved(row.position), range });
    }
    for (const [i, row] of entry.repeated.entries())
      entry.repeated[i] = { ...row, position: moved(row.position) };
    for (const [i, row] of entry.checkpoints.entries())
      entry.checkpoints[i] = { ...row, position: moved(row.position) };
  }
  return catalogueText(catalogue);
}

function movedContents(bytes: Uint8Array, moved: Moved): Uint8Array {
  const { saved } = Contents.load(new StateReader(bytes));
  const writer = new StateWriter();
  writeContents(writer, { ...saved, positionOf: ({ position }) => moved(position) });
  return writer.bytes().slice();
}

/**
 * The same baseline by other positions, of the copy as it says itself what ledger it is. What it says
 * of the log's tree is the copy's own to say.
 */
export function movedBaseline(
  baseline: BaselineState,
  moved: Moved,
  ledger: LedgerFacts['ledger'],
): BaselineState {
  const { position, from } = baseline;
  const pending = from.pending.map((of) => ({ ...of, position: moved(of.position) }));
  return {
    ...baseline,
    position: moved(position),
    from: { next: moved(from.next), last: null, pending },
    catalogue: movedCatalogue(baseline.catalogue, moved, ledger),
    contents: movedContents(baseline.contents, moved),
  };
}
