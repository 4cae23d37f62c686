// Where reading of the log has to begin so that everything from a position on is seen whole, also the
// captures that were under way there.

import type { Position } from '../../domain/ports/event-log.ts';
import { vmStream } from '../../domain/events/streams.ts';
import type { AssemblerState } from '../commits.ts';
import type { LedgerState } from '../models/ledger-state.ts';

type Pending = AssemblerState['pending'][number];

/**
 * A state to replay from: all changes at or after `position`, and perhaps some before it, come from
 * there. It is the place of a commit that is known, so `position` may be any number. O(captures).
 */
export function readingStart(state: LedgerState, position: Position): AssemblerState {
  const entries = [...state.catalogue.vms.values()];
  let next = 0n;
  for (const entry of entries) {
    const row = entry.at(position);
    if (row !== undefined && row.position > next) next = row.position;
  }
  const pending: Pending[] = [];
  for (const entry of entries) {
    const row = entry.rows.at(entry.rows.indexAt(next - 1n) + 1);
    if (row === undefined || row.range.count === 0 || row.range.fromPosition >= next) continue;
    const { firstRevision: revision, fromPosition } = row.range;
    pending.push({ stream: vmStream(entry.vm), revision, position: fromPosition });
  }
  // What is under way at the head may have been so for long.
  for (const open of state.reached.pending) if (open.position < next) pending.push(open);
  // Nothing is read of what is before history.
  if (next < state.start.next) return state.start;
  // The state itself was compared with the log.
  return { next, last: null, pending };
}
