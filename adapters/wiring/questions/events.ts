// The events of a ledger as rows: those that there are, and those that come.

import type { Holding } from '../../../domain/values/holding.ts';
import type { EventRow } from '../../../projections/questions/event-rows.ts';
import { changesIn } from '../../../projections/questions/log-stretch.ts';
import {
  ensureIdentifiers,
  identifierIn,
  RowLister,
  type RowFilter,
} from '../../../projections/questions/row-lister.ts';
import type { AssemblerState, Change } from '../../../projections/commits.ts';
import { checkInHistory } from '../../../projections/models/beginning.ts';
import { liveChanges } from '../../../projections/observable.ts';
import type { Position } from '../../../domain/ports/event-log.ts';
import type { Ledger } from '../ledger/ledger.ts';

/** Hex of a holding's identifier; null for a pattern or a page that is not known. */
export const identifierOf = (ledger: Ledger, holding: Holding): string | null =>
  identifierIn(ledger.column, holding);

/** Which rows are given: all that fit everything said here. */
export interface LogFilter extends RowFilter {
  /** Both included; null: no bound. */
  readonly from: LogBound | null;
  readonly to: LogBound | null;
}

/** Where a stretch of the log begins or ends. */
export type LogBound =
  | { readonly _tag: 'position'; readonly position: Position }
  | { readonly _tag: 'time'; readonly timeMs: number };

type Told = Exclude<Change, { _tag: 'damage' }>;

/** A capture's own time; of anything else the recorder's clock. */
const timeOf = (change: Told): number =>
  change._tag === 'capture' ? change.committed.timeMs : change.timeMs;
const isBefore = (change: Told, bound: LogBound): boolean =>
  bound._tag === 'position' ? change.position < bound.position : timeOf(change) < bound.timeMs;
const isAfter = (change: Told, bound: LogBound): boolean =>
  bound._tag === 'position' ? change.position > bound.position : timeOf(change) > bound.timeMs;

const isWithin = ({ from, to }: LogFilter, change: Change): boolean =>
  change._tag !== 'damage' &&
  (from === null || !isBefore(change, from)) &&
  (to === null || !isAfter(change, to));

/** Whether a row is of a capture that cannot be restored any more. */
function isOfForgotten({ state }: Ledger, { vm, capture }: EventRow): boolean {
  if (vm === null || capture === null) return false;
  return state.catalogue.vms.get(vm)?.isForgotten(capture) ?? false;
}

const forgottenRow = (row: EventRow): EventRow => ({
  ...row,
  facts: { ...row.facts, forgotten: true },
});

/** Hands on the rows of a change that the filter lets through, one after the other. */
type Listing = (change: Change) => Promise<void>;

function listing(
  ledger: Ledger,
  filter: LogFilter,
  consume: (row: EventRow) => Promise<void>,
): Listing {
  const { state } = ledger;
  const lister = new RowLister({ state, column: () => ledger.column }, filter);
  return async (change) => {
    if (!isWithin(filter, change)) return;
    for await (const rows of lister.rows(change))
      for (const row of rows) await consume(isOfForgotten(ledger, row) ? forgottenRow(row) : row);
  };
}

const positionOf = (bound: LogBound | null): Position | null =>
  bound?._tag === 'position' ? bound.position : null;

/**
 * Events up to the ledger's end now, oldest first; gives the state after them. Positions and a VM bound
 * what is read of the log (projections/questions/log-stretch.ts); a type and times do not.
 */
export async function listEvents(
  ledger: Ledger,
  filter: LogFilter,
  consume: (row: EventRow) => Promise<void>,
): Promise<AssemblerState> {
  const { state, log } = ledger;
  const { vm, from, to } = filter;
  if (filter.isExpanded) await ensureIdentifiers(state, ledger.column);
  await state.catchUp({ heavy: false });
  const { reached } = state;
  const list = listing(ledger, filter, consume);
  const stretch = { vm, from: positionOf(from), to: positionOf(to) };
  checkInHistory(state.catalogue, stretch.from);
  checkInHistory(state.catalogue, stretch.to);
  for await (const change of changesIn({ log, state }, stretch)) await list(change);
  return reached;
}

/** Events after a state, replayed and then live, until the signal aborts. */
export async function followEvents(
  ledger: Ledger,
  filter: LogFilter,
  at: { readonly from: AssemblerState; readonly signal: AbortSignal },
  consume: (row: EventRow) => Promise<void>,
): Promise<void> {
  const list = listing(ledger, filter, consume);
  for await (const { changes } of liveChanges(ledger.log, at))
    for (const change of changes) await list(change);
}
