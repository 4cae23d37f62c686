// Replay, then live: the one file that builds Observables. What flows is whole changes (a capture with
// its batches, or one control event), or what was made of them, never a page. Every source is
// pulled: the next chunk is read when the one before was worked off, so a slow projection slows the
// reader and nothing piles up.

import { ignoreElements, lastValueFrom, Observable } from 'rxjs';
import type { EventLog, Position } from '../domain/ports/event-log.ts';
import {
  CommitAssembler,
  LOG_START,
  MetCaptures,
  type AssemblerState,
  type Change,
  type PassedOver,
} from './commits.ts';

/** Folds a change; the reader waits for it. */
export type Fold = (change: Change) => Promise<void>;

interface Pulled<T, R> {
  /** The source: it ends when the signal aborts. */
  readonly open: (signal: AbortSignal) => AsyncIterable<T>;
  readonly signal?: AbortSignal | undefined;
  readonly work: (value: T, emit: (made: R) => void, signal: AbortSignal) => Promise<void>;
}

/** What `work` makes of each value of a source, the next one asked for when it is done. */
const pulled = <T, R>({ open, signal: outer, work }: Pulled<T, R>): Observable<R> =>
  new Observable((subscriber) => {
    // A source that waits for the next append hears of nothing else than its signal.
    const left = new AbortController();
    const signal = outer === undefined ? left.signal : AbortSignal.any([outer, left.signal]);
    const emit = (made: R): void => subscriber.next(made);
    const pump = async (): Promise<void> => {
      for await (const value of open(signal)) {
        await work(value, emit, signal);
        if (signal.aborted) break;
      }
    };
    pump().then(
      () => subscriber.complete(),
      (failure: unknown) => subscriber.error(failure),
    );
    return () => left.abort();
  });

/** What a reader brings, control messages in band and never ahead of the changes. */
export interface Arrival {
  /** `caughtUp`: all that was there when it was looked for has come. */
  readonly _tag: 'changes' | 'caughtUp' | 'reconnected';
  readonly changes: readonly Change[];
  /** Where another reader goes on who has taken everything up to here. */
  readonly state: AssemblerState;
}

/** Where reading begins, and what is told before anything else. */
export interface ReadFrom {
  readonly from: AssemblerState;
  readonly first?: Change | null | undefined;
}

function* told({ from, first }: ReadFrom): Generator<Arrival> {
  if (first != null) yield { _tag: 'changes', changes: [first], state: from };
}

/** What the log holds after a state, up to its end now: a chunk of the log at a time. */
async function* replayed(
  log: EventLog,
  read: ReadFrom,
  more: Pick<ChangesRequest, 'onPassedOver' | 'reached'> = {},
): AsyncGenerator<Arrival> {
  const { from } = read;
  const { onPassedOver, reached } = more;
  yield* told(read);
  const assembler = new CommitAssembler(log, from, { onPassedOver });
  for await (const { items, next } of log.read({ from: from.next, after: from.last, reached })) {
    const changes = await assembler.take(items);
    yield { _tag: 'changes', changes, state: assembler.stateAt(next) };
  }
}

/**
 * What the log holds after a state, then what comes, until aborted: a chunk of the log at a time, read
 * when it is asked for.
 */
export async function* liveChanges(
  log: EventLog,
  { signal, ...read }: ReadFrom & { readonly signal: AbortSignal },
): AsyncGenerator<Arrival> {
  const { from } = read;
  yield* told(read);
  const assembler = new CommitAssembler(log, from);
  const request = { from: from.next, after: from.last, signal };
  for await (const arrived of log.subscribe(request)) {
    const isItems = arrived._tag === 'items';
    const changes = isItems ? await assembler.take(arrived.items) : [];
    const state = assembler.stateAt(arrived.next);
    yield { _tag: isItems ? 'changes' : arrived._tag, changes, state };
  }
}

export interface ObservedSource<T> {
  /** The source: it ends when the signal aborts. */
  readonly open: (signal: AbortSignal) => AsyncIterable<readonly T[]>;
  readonly signal?: AbortSignal | undefined;
  /** Called with each value before it is emitted; the reader waits for the promise it returns. */
  readonly handle?: ((value: T) => void | Promise<void>) | undefined;
}

/**
 * The values of a source as an Observable. RxJS has no way to ask for less, so whoever works
 * asynchronously does so in `handle`: behind an operator that queues, values would pile up.
 */
export const observed = <T>({ open, signal, handle }: ObservedSource<T>): Observable<T> =>
  pulled<readonly T[], T>({
    open,
    signal,
    work: async (values, emit, ended) => {
      for (const value of values) {
        if (ended.aborted) return;
        if (handle !== undefined) await handle(value);
        emit(value);
      }
    },
  });

/** What of a log is asked for. */
export interface ChangesRequest {
  /** After what this state has seen; absent: from the log's beginning. */
  readonly from?: AssemblerState;
  /** Where that is, and what is told first, where the log tells of no more than that. */
  readonly begin?: (() => Promise<ReadFrom>) | undefined;
  /** Replay, then live until it aborts. Absent: up to the log's end now. */
  readonly signal?: AbortSignal | undefined;
  /** Called with each change before it is emitted; the reader waits for it. */
  readonly handle?: ((change: Change) => Promise<void> | void) | undefined;
  /** Called when all changes before a place were emitted. */
  readonly onReached?: (state: AssemblerState) => void;
  /** Also commits of captures that were committed before, which count for nothing; absent: left out. */
  readonly isEveryCommit?: boolean;
  /** Called with each event of a type that this release does not know; only where there is no signal. */
  readonly onPassedOver?: ((event: PassedOver) => void) | undefined;
  /** A place that the log has reached, which need not be asked for; only where there is no signal. */
  readonly reached?: Position | undefined;
}

/**
 * The changes of a log in their order, replayed and then live: what every projection is a fold over. A
 * change is a value whole, a capture with its batches, so operators that work at once keep nothing.
 */
export function changes$(log: EventLog, request: ChangesRequest = {}): Observable<Change> {
  const { from, begin, signal: until, handle, onReached } = request;
  const met = new MetCaptures();
  async function* open(signal: AbortSignal): AsyncGenerator<Arrival> {
    const beginning = async (): Promise<ReadFrom> => (await begin?.()) ?? { from: LOG_START };
    const read = from === undefined ? await beginning() : { from };
    if (until === undefined) yield* replayed(log, read, request);
    else yield* liveChanges(log, { ...read, signal });
  }
  return pulled<Arrival, Change>({
    open,
    signal: until,
    work: async ({ changes, state }, emit, ended) => {
      for (const change of changes) {
        if (ended.aborted) return;
        if (met.isRepeated(change) && request.isEveryCommit !== true) continue;
        await handle?.(change);
        emit(change);
      }
      onReached?.(state);
    },
  });
}

/** Folds what the log holds after a state, up to its end now; gives the state after it. */
export async function replayCommits(
  log: EventLog,
  from: AssemblerState,
  fold: Fold,
  more: Pick<ChangesRequest, 'onPassedOver' | 'reached'> = {},
): Promise<AssemblerState> {
  let after = from;
  const onReached = (state: AssemblerState): void => {
    after = state;
  };
  const request = { ...more, from, handle: fold, onReached, isEveryCommit: true };
  const folded = changes$(log, request).pipe(ignoreElements());
  await lastValueFrom(folded, { defaultValue: undefined });
  return after;
}
