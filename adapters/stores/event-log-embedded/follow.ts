// Subscriptions to the embedded log: replay, `caughtUp` behind the items, then live. A change is
// noticed by watching the file; where the system does not tell, by looking at its size.

import {
  logReplaced,
  markOf,
  type EventMark,
  type LogItem,
  type LogSignal,
} from '../../../domain/ports/event-log.ts';
import type { FilePort } from '../../files/file-port.ts';
import { ItemChunk } from './log-chunks.ts';
import { lostEnd, type LogReader } from './log-reader.ts';
import type { LogFold } from './log-fold.ts';

/** How often a file is looked at that nobody reports changes of. */
export const POLL_MS = 200;

/** Tells whether a file may have changed since it was last asked. */
class ChangeSignal {
  readonly #files: FilePort;
  #path = '';
  #hasChanged = true;
  #wake: (() => void) | null = null;
  #unwatch = (): void => undefined;

  constructor(files: FilePort) {
    this.#files = files;
  }

  /** Watches this file from now on, and no other. */
  watch(path: string): void {
    if (path === this.#path) return;
    this.#unwatch();
    this.#path = path;
    this.#unwatch = this.#files.watch(path, () => {
      this.#hasChanged = true;
      this.#wake?.();
    });
  }

  /** Waits for a change, for POLL_MS or for the abort, whichever is first. */
  async wait(signal: AbortSignal): Promise<void> {
    if (!this.#hasChanged && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(done, POLL_MS);
        function done(): void {
          clearTimeout(timer);
          signal.removeEventListener('abort', done);
          resolve();
        }
        signal.addEventListener('abort', done, { once: true });
        this.#wake = done;
      });
      this.#wake = null;
    }
    this.#hasChanged = false;
  }

  release(): void {
    this.#unwatch();
  }
}

/** Remembers the last event that was told of: where it is not there any more, the log was replaced. */
class Seen {
  last: EventMark | null;

  constructor(last: EventMark | null) {
    this.last = last;
  }

  async *told(signals: AsyncGenerator<LogSignal>): AsyncGenerator<LogSignal> {
    for await (const signal of signals) {
      if (signal._tag === 'items') this.#note(signal.items);
      yield signal;
    }
  }

  #note(items: readonly LogItem[]): void {
    const item = items.findLast(({ _tag }) => _tag === 'event');
    if (item?._tag === 'event') this.last = markOf(item.event);
  }
}

export interface FollowRequest {
  readonly reader: LogReader;
  readonly files: FilePort;
  readonly from: number;
  /** What was read last. */
  readonly after: EventMark | null;
  readonly signal: AbortSignal;
}

const NO_LIMIT = Number.MAX_SAFE_INTEGER;

/** What is in the log from `from` on, and what comes. */
export async function* follow(request: FollowRequest): AsyncGenerator<LogSignal> {
  const { reader, files, from, signal } = request;
  if (signal.aborted) return;
  await reader.check(request.after);
  const changes = new ChangeSignal(files);
  changes.watch(reader.livePath);
  const seen = new Seen(request.after);
  try {
    const fold = reader.fold(from);
    yield* seen.told(replay(request, fold));
    if (signal.aborted) return;
    yield { _tag: 'caughtUp', next: placeOf(fold, from) };
    let sizeBytes = -1;
    while (!signal.aborted) {
      await changes.wait(signal);
      if (fold.sealedAt !== null) await reader.lookForSegments();
      if (!(await reader.isNamed())) throw logReplaced(reader.path, BigInt(fold.state.position));
      const found = await reader.sizeBytes();
      if (found === sizeBytes) continue;
      sizeBytes = found;
      await reader.check(seen.last);
      yield* seen.told(advance(request, fold));
      changes.watch(reader.livePath);
    }
  } finally {
    changes.release();
  }
}

/** A fold that has not come to `from` yet would give nothing between. */
const placeOf = (fold: LogFold, from: number): bigint =>
  BigInt(Math.max(from, fold.state.position));

async function* advance(request: FollowRequest, fold: LogFold): AsyncGenerator<LogSignal> {
  const { reader, from, signal } = request;
  const { pasts } = reader;
  const chunk = new ItemChunk();
  while (!signal.aborted) {
    const judged = await fold.next();
    if (judged !== null) {
      chunk.add(judged, { from, limit: NO_LIMIT });
      reader.remember(fold);
    }
    if (chunk.isFull || (judged === null && chunk.items.length > 0)) {
      reader.checkPast(pasts, from);
      yield { _tag: 'items', ...chunk.take(fold, { from, limit: NO_LIMIT }) };
    }
    if (judged === null) return;
  }
}

/** All up to the log's end, and what the witnesses know beyond it. */
async function* replay(request: FollowRequest, fold: LogFold): AsyncGenerator<LogSignal> {
  const { reader, from, signal } = request;
  yield* advance(request, fold);
  if (signal.aborted) return;
  const witnesses = await reader.loadWitnesses();
  yield* advance(request, fold);
  if (signal.aborted) return;
  reader.checkpoints.add(fold.state);
  // What the witnesses speak of was durable when they were loaded: the fold has come to it or it is lost.
  const lost = await reader.lostEnds(fold.state, { witnesses, from, limit: NO_LIMIT });
  if (lost.length === 0) return;
  const items = lost.map((witness) => {
    const damage = lostEnd(witness, fold.state);
    // The next record of the stream would report the same gap again.
    fold.state.heads.set(witness.stream, witness);
    return { _tag: 'damage' as const, damage };
  });
  yield { _tag: 'items', items, next: placeOf(fold, from) };
}
