// Following a ledger (docs/events.md): its rows after a place, or the states of a projection, replayed
// and then live. What is yielded next is read when it is asked for. Loaded where somebody follows.

import { accepted } from '../../domain/ports/run.ts';
import { assert } from '../../domain/values/assert.ts';
import type { Position } from '../../domain/ports/event-log.ts';
import { refuse } from '../../domain/values/refused.ts';
import { parseCursor, RANK_FIRST, RANK_LAST, type Cursor } from './cursor.ts';
import { readingStart } from '../questions/reading-start.ts';
import { ensureIdentifiers, RowLister } from '../questions/row-lister.ts';
import type { AssemblerState, BaselineChange, Change } from '../commits.ts';
import { beforeHistory, beginningOf } from '../models/beginning.ts';
import { ProjectedState, type Projected } from './projected-state.ts';
import type { Projection } from '../projection.ts';
import { projectionNamed } from './registered.ts';
import { liveChanges, type Arrival } from '../observable.ts';
import type {
  AnyStatesRequest,
  Control,
  Damaged,
  FollowedLedger,
  From,
  RowMessage,
  RowsRequest,
  StateMessage,
  StatesRequest,
} from './messages.ts';

const FOREVER = new AbortController().signal;

const placeOf = (from: Exclude<From, 'latest'>): Cursor => {
  const text =
    typeof from === 'string'
      ? from
      : `${from.position}${typeof from.item === 'number' ? `/${from.item}` : ''}`;
  return accepted(parseCursor(text));
};

interface Start {
  readonly at: AssemblerState;
  /** What is told first; null: nothing. */
  readonly first?: BaselineChange | null;
  /** Changes before it were seen. */
  readonly after: Cursor | null;
}

/** Where to read from. The ledger's state is at the log's head. */
async function startAt({ state }: FollowedLedger, from: From | undefined): Promise<Start> {
  if (from === undefined) {
    const { from: at, baseline: first } = await beginningOf(state);
    return { at, first, after: null };
  }
  if (from === 'latest') return { at: state.reached, after: null };
  const after = placeOf(from);
  if (after.position >= state.next)
    throw refuse({
      _tag: 'BadPlace',
      text: String(after.position),
      why: `the log ends at ${state.next}, so it is a place of another ledger or of an older copy of this one`,
    });
  const { position, id } = after;
  const { history } = state.catalogue;
  // Behind the last event that is gone all there is comes after.
  if (history !== null && position < history.position) throw beforeHistory(history, position);
  if (id !== null && position !== history?.position) {
    const at = { next: position + 1n, last: { position, id }, pending: [] };
    if (!(await state.isInLog(at)))
      throw refuse({
        _tag: 'BadPlace',
        text: `${position}@${id}`,
        why: 'the log has another event there, or none, so it is a place of another ledger or of another past of this one: the log was put back from a copy; begin anew',
      });
  }
  return { at: readingStart(state, position), after };
}

/** The rank that rows at a position must be above; null: all of them were seen. */
function rankAfter(after: Cursor | null, position: Position): number | null {
  if (after === null || position > after.position) return RANK_FIRST;
  return position < after.position || after.rank === RANK_LAST ? null : after.rank;
}

/** What a change says of events that cannot be read, or null. */
function damageOf(change: Change): Damaged | null {
  if (change._tag !== 'capture' && change._tag !== 'damage') return null;
  const reason = change._tag === 'damage' ? change.damage.reason : change.damage;
  return reason === null ? null : { _tag: 'damaged', position: change.position, reason };
}

const control = ({ _tag, state }: Arrival): Control => {
  assert(_tag !== 'changes', 'changes are not told as a control message');
  return { _tag, position: state.next };
};

/** Rows in arrays of bounded length, and control messages. */
export async function* rowArrays(
  ledger: FollowedLedger,
  request: RowsRequest,
): AsyncGenerator<readonly RowMessage[]> {
  const { vm = null, type = null, pages: isExpanded = false, signal = FOREVER } = request;
  const { state, log } = ledger;
  await state.catchUp({ heavy: false });
  const { at, first, after } = await startAt(ledger, request.from);
  if (isExpanded) await ensureIdentifiers(state, ledger.column);
  const models = { state, column: () => ledger.column };
  const lister = new RowLister(models, { vm, type, isExpanded });
  for await (const arrived of liveChanges(log, { from: at, first, signal })) {
    for (const change of arrived.changes) {
      const rank = rankAfter(after, change.position);
      if (rank === null) continue;
      const damaged = damageOf(change);
      if (damaged !== null) yield [damaged];
      for await (const found of lister.rows(change, rank)) {
        yield found.map((row) => ({ _tag: 'row', row }));
        if (signal.aborted) return;
      }
    }
    if (arrived._tag !== 'changes') yield [control(arrived)];
  }
}

const stateMessage = <S>(projection: Projection<S>, projected: Projected<S>): StateMessage<S> => ({
  _tag: 'state',
  ...projected,
  view: () => (projection.view === undefined ? projected.state : projection.view(projected.state)),
});

/**
 * A projection's state as it was kept, then after each change that it had not seen, then live. It is
 * kept again when it has caught up, now and then, and at the end.
 */
export async function* statesOf<S>(
  ledger: FollowedLedger,
  { projection, signal = FOREVER }: StatesRequest<S>,
): AsyncGenerator<StateMessage<S>> {
  const { state, log, stateFiles: files } = ledger;
  await state.catchUp({ heavy: false });
  const id = state.catalogue.facts.ledger?.id ?? ledger.id;
  const projected = new ProjectedState({ ledger: id, files, state }, projection);
  await projected.load();
  const { baseline: first } = projected.isAnew ? await beginningOf(state) : { baseline: null };
  const kept = projected.projected;
  if (kept !== null) yield stateMessage(projection, kept);
  try {
    const { from } = projected;
    for await (const arrived of liveChanges(log, { from, first, signal })) {
      for (const change of arrived.changes) {
        if (signal.aborted) return;
        if (change._tag !== 'damage') await state.foldPast(change.position);
        if (change._tag === 'capture' && state.catalogue.isRepeated(change)) continue;
        const next = projected.apply(change);
        if (next !== null) yield stateMessage(projection, next);
      }
      projected.reach(arrived.state);
      if (projected.isWorthSaving || arrived._tag === 'caughtUp') await projected.save();
      if (arrived._tag !== 'changes') yield control(arrived);
    }
  } finally {
    await projected.save();
  }
}

/** The same, of a registered projection too. */
export const anyStates = (
  ledger: FollowedLedger,
  request: AnyStatesRequest,
): AsyncGenerator<StateMessage<unknown>> => {
  const { projection } = request;
  const found = typeof projection === 'string' ? projectionNamed(projection) : projection;
  return statesOf(ledger, { ...request, projection: found });
};
