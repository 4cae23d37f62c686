// Replay, then live, as Observables: the one file that builds them. What flows is whole changes (a
// capture with its batches, or one control event), never a page. The source is pulled: the next chunk
// is read when the fold of the one before has finished, so a slow projection slows the reader and
// nothing piles up.

import {
  concatMap,
  defer,
  finalize,
  from,
  lastValueFrom,
  map,
  repeat,
  takeWhile,
  type Observable,
} from 'rxjs';
import type { EventLog, Position } from '../domain/ports.ts';
import { CommitAssembler, type AssemblerState, type Change } from './commits.ts';

/** Folds a change; the reader waits for it. */
export type Fold = (change: Change) => Promise<void>;

/** Where a subscription stands: everything before `state.next` was folded. */
export interface Mark {
  readonly state: AssemblerState;
  /** Everything that was there when it was looked for is folded: what follows is live. */
  readonly isCaughtUp: boolean;
}

/** What a source that has ended gives. */
const END = null;

/** Each value of an asynchronous source through `work`, the next one pulled when `work` is done. */
const pulled = <T, R>(
  source: () => AsyncIterable<T>,
  work: (value: T) => Promise<R>,
): Observable<R> =>
  defer(() => {
    const iterator = source()[Symbol.asyncIterator]();
    return defer(() => from(iterator.next())).pipe(
      concatMap(async (result) =>
        result.done === true ? END : { value: await work(result.value) },
      ),
      repeat(),
      takeWhile((step) => step !== END),
      map((step) => step.value),
      // Whoever leaves early, or fails, lets go of what the source holds.
      finalize(() => {
        iterator.return?.().catch(() => undefined);
      }),
    );
  });

/** A chunk of the log, of a replay or of a live subscription. */
interface Arrived {
  readonly items: Parameters<CommitAssembler['take']>[0];
  readonly next: Position;
  readonly isCaughtUp: boolean;
}

const folding = (
  log: EventLog,
  at: AssemblerState,
  fold: Fold,
): ((chunk: Arrived) => Promise<Mark>) => {
  const assembler = new CommitAssembler(log, at);
  return async ({ items, next, isCaughtUp }) => {
    for (const change of await assembler.take(items)) await fold(change);
    return { state: { next, pending: assembler.pending() }, isCaughtUp };
  };
};

/** Folds what the log holds after a state, up to its end now; gives the state after it. */
export async function replayCommits(
  log: EventLog,
  at: AssemblerState,
  fold: Fold,
): Promise<AssemblerState> {
  const work = folding(log, at, fold);
  const marks = pulled(
    () => log.read({ from: at.next }),
    (chunk) => work({ ...chunk, isCaughtUp: true }),
  );
  const last = await lastValueFrom(marks, { defaultValue: { state: at, isCaughtUp: true } });
  return last.state;
}

/**
 * Folds what the log holds after a state, then what comes, until unsubscribed or aborted. Gives a mark
 * after each chunk, never ahead of what was folded.
 */
export const liveCommits = (
  log: EventLog,
  at: { readonly from: AssemblerState; readonly signal: AbortSignal },
  fold: Fold,
): Observable<Mark> => {
  const work = folding(log, at.from, fold);
  return defer(() => {
    // A source that waits for the next append hears of nothing else.
    const left = new AbortController();
    const signal = AbortSignal.any([at.signal, left.signal]);
    return pulled(
      () => log.subscribe({ from: at.from.next, signal }),
      (arrived) =>
        work({
          items: arrived._tag === 'items' ? arrived.items : [],
          next: arrived.next,
          isCaughtUp: arrived._tag === 'caughtUp',
        }),
    ).pipe(finalize(() => left.abort()));
  });
};
