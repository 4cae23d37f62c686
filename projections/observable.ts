// Replay, then live: the one file that builds Observables. What flows is whole changes (a capture with
// its batches, or one control event), or arrays of what was made of them, never a page. Every source is
// pulled: the next chunk is read when the one before was worked off, so a slow projection slows the
// reader and nothing piles up.

import { lastValueFrom, Observable } from 'rxjs';
import type { EventLog, LogChunk } from '../domain/ports/event-log.ts';
import { CommitAssembler, type AssemblerState, type Change } from './commits.ts';

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

/** Folds what the log holds after a state, up to its end now; gives the state after it. */
export async function replayCommits(
  log: EventLog,
  at: AssemblerState,
  fold: Fold,
): Promise<AssemblerState> {
  const assembler = new CommitAssembler(log, at);
  const states = pulled<LogChunk, AssemblerState>({
    open: () => log.read({ from: at.next }),
    work: async ({ items, next }, emit) => {
      for (const change of await assembler.take(items)) await fold(change);
      emit({ next, pending: assembler.pending() });
    },
  });
  return lastValueFrom(states, { defaultValue: at });
}

/** What a live reader brings, control messages in band and never ahead of the changes. */
export interface Arrival {
  /** `caughtUp`: all that was there when it was looked for has come. */
  readonly _tag: 'changes' | 'caughtUp' | 'reconnected';
  readonly changes: readonly Change[];
  /** Where another reader goes on who has taken everything up to here. */
  readonly state: AssemblerState;
}

/**
 * What the log holds after a state, then what comes, until aborted: a chunk of the log at a time, read
 * when it is asked for.
 */
export async function* liveChanges(
  log: EventLog,
  at: { readonly from: AssemblerState; readonly signal: AbortSignal },
): AsyncGenerator<Arrival> {
  const assembler = new CommitAssembler(log, at.from);
  for await (const arrived of log.subscribe({ from: at.from.next, signal: at.signal })) {
    const isItems = arrived._tag === 'items';
    const changes = isItems ? await assembler.take(arrived.items) : [];
    const state = { next: arrived.next, pending: assembler.pending() };
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
