// An event log in memory: the port's contract without a disk, for tests and for what need not last.
// Several handles on one `MemoryLogStore` are what several processes are on a ledger.

import { assert } from '../../../domain/values/assert.ts';
import { atPort } from '../../../domain/ports/run.ts';
import type { Finding } from '../../../domain/values/finding.ts';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { answeredBefore, checkAppend, conflict, revisionsOf } from '../append-requests.ts';
import { isMarked, logReplaced } from '../../../domain/ports/event-log.ts';
import type {
  AppendRequest,
  Appended,
  EventLog,
  EventMark,
  LogChunk,
  LogItem,
  LogSignal,
  NewEvent,
  StoredEvent,
} from '../../../domain/ports/event-log.ts';

/** A log that can be read through for damage. */
export interface CheckedLog extends EventLog {
  check(): AsyncIterable<Finding>;
}

const CHUNK_ITEMS = 256;

/** What handles share: the events, in log order. */
export class MemoryLogStore {
  readonly events: StoredEvent[] = [];
  readonly streams = new Map<string, StoredEvent[]>();
  /** Positions of events that were let go. */
  readonly #gone = new Set<bigint>();
  readonly #listeners = new Set<() => void>();

  add(stream: string, event: NewEvent): StoredEvent {
    const inStream = this.streams.get(stream) ?? [];
    const stored = {
      ...event,
      // The log keeps bytes of its own: its caller may use the buffers again.
      id: event.id.slice(),
      data: event.data.slice(),
      position: BigInt(this.events.length),
      stream,
      revision: inStream.length,
    };
    inStream.push(stored);
    this.streams.set(stream, inStream);
    this.events.push(stored);
    return stored;
  }

  /** Lets go of the beginning of a stream: what is left keeps its place. */
  cut(stream: string, firstKept: number): void {
    for (const event of this.streams.get(stream)?.slice(0, firstKept) ?? []) {
      this.#gone.add(event.position);
      Object.assign(event, { data: new Uint8Array(0) });
    }
  }

  isThere({ position }: StoredEvent): boolean {
    return !this.#gone.has(position);
  }

  get listenerCount(): number {
    return this.#listeners.size;
  }

  /** Calls `listener` after every append until the result is called. */
  listen(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  notify(): void {
    for (const listener of this.#listeners) listener();
  }
}

const closed = (): LedgerError =>
  new LedgerError('LEDGER_CLOSED', 'the event log was closed while it was used; open it again');

/** Events that were given out are the reader's own, as those of a log on disk are. */
const copyOf = (event: StoredEvent): StoredEvent => ({
  ...event,
  id: event.id.slice(),
  data: event.data.slice(),
});

/** Resolves after the next append, the abort or the close. */
const nextChange = (store: MemoryLogStore, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const stopListening = store.listen(done);
    function done(): void {
      stopListening();
      signal.removeEventListener('abort', done);
      resolve();
    }
    signal.addEventListener('abort', done, { once: true });
    if (signal.aborted) done();
  });

const letGo = (stream: string, revision: number): LedgerError =>
  new LedgerError(
    'LOG_DAMAGED',
    `events of ${stream} from revision ${revision} on were let go; read what is left of it`,
    { stream, first: revision },
  );

class MemoryLog implements CheckedLog {
  readonly #store: MemoryLogStore;
  readonly #closing = new AbortController();

  constructor(store: MemoryLogStore) {
    this.#store = store;
  }

  #checkOpen(): void {
    if (this.#closing.signal.aborted) throw closed();
  }

  append: EventLog['append'] = (request) =>
    atPort(async () => {
      this.#checkOpen();
      return appendTo(this.#store, request);
    });

  /** LOG_REPLACED where an event that was read is not there. */
  #check(mark: EventMark | null | undefined): void {
    if (mark === null || mark === undefined) return;
    const found = this.#store.events[Number(mark.position)];
    if (found === undefined || !this.#store.isThere(found) || !isMarked(mark, found))
      throw logReplaced('the log in memory', mark.position);
  }

  async *read({ from, until, after }: Parameters<EventLog['read']>[0]): AsyncGenerator<LogChunk> {
    this.#check(after);
    const { events } = this.#store;
    const end = until === undefined ? events.length : Math.min(Number(until), events.length);
    let at = Number(from);
    do {
      await Promise.resolve();
      this.#checkOpen();
      const chunkEnd = Math.max(at, Math.min(end, at + CHUNK_ITEMS));
      const items = events
        .slice(at, chunkEnd)
        .filter((event) => this.#store.isThere(event))
        .map((event): LogItem => ({ _tag: 'event', event: copyOf(event) }));
      at = chunkEnd;
      yield { items, next: BigInt(at) };
    } while (at < end);
  }

  async *readStream({
    stream,
    fromRevision,
    count,
  }: Parameters<EventLog['readStream']>[0]): AsyncGenerator<readonly StoredEvent[]> {
    const events = this.#store.streams.get(stream) ?? [];
    const end = Math.min(events.length, fromRevision + count);
    for (let at = fromRevision; at < end; at += CHUNK_ITEMS) {
      await Promise.resolve();
      this.#checkOpen();
      const some = events.slice(at, Math.min(end, at + CHUNK_ITEMS));
      if (!some.every((event) => this.#store.isThere(event))) throw letGo(stream, at);
      yield some.map(copyOf);
    }
  }

  async *subscribe(request: Parameters<EventLog['subscribe']>[0]): AsyncGenerator<LogSignal> {
    const signal = AbortSignal.any([request.signal, this.#closing.signal]);
    let next = request.from;
    this.#check(request.after);
    for (let isCaughtUp = false; !signal.aborted; isCaughtUp = true) {
      if (next < BigInt(this.#store.events.length)) {
        for await (const chunk of this.read({ from: next })) {
          ({ next } = chunk);
          yield { _tag: 'items', ...chunk };
          if (signal.aborted) break;
        }
      } else if (isCaughtUp) {
        await nextChange(this.#store, signal);
      }
      if (!isCaughtUp && !signal.aborted) yield { _tag: 'caughtUp', next };
    }
    if (!request.signal.aborted) throw closed();
  }

  head: EventLog['head'] = (after) =>
    atPort(async () => {
      this.#checkOpen();
      this.#check(after);
      return BigInt(this.#store.events.length);
    });

  streamRevision: EventLog['streamRevision'] = (stream) =>
    atPort(async () => {
      this.#checkOpen();
      return (this.#store.streams.get(stream)?.length ?? 0) - 1;
    });

  last: EventLog['last'] = (stream) =>
    atPort(async () => {
      this.#checkOpen();
      const last = this.#store.streams.get(stream)?.at(-1);
      return last === undefined || !this.#store.isThere(last) ? null : copyOf(last);
    });

  cut: EventLog['cut'] = (firstKept) =>
    atPort(async () => {
      this.#checkOpen();
      for (const [stream, revision] of firstKept) this.#store.cut(stream, revision);
    });

  /** What is in memory is as it was written. */
  // oxlint-disable-next-line typescript/require-await -- a flow is asynchronous by its port
  async *check(): AsyncGenerator<Finding> {
    // Nothing to name.
  }

  close(): Promise<void> {
    this.#closing.abort();
    return Promise.resolve();
  }
}

function appendTo(store: MemoryLogStore, request: AppendRequest): Appended {
  checkAppend(request);
  const { stream, expectedRevision, events } = request;
  const known = store.streams.get(stream) ?? [];
  const actual = known.length - 1;
  if (actual === expectedRevision) {
    let last: StoredEvent | null = null;
    for (const event of events) last = store.add(stream, event);
    assert(last !== null, 'an append of an event has a last one');
    store.notify();
    return { position: last.position, revision: last.revision };
  }
  const range = revisionsOf(request, actual);
  if (range === null) throw conflict(request, actual);
  const { fromRevision, count } = range;
  return answeredBefore(request, {
    found: known.slice(fromRevision, fromRevision + count),
    actual,
  });
}

/** A log in memory; give the same store to several for a log that several use. */
export const createMemoryEventLog = (store: MemoryLogStore = new MemoryLogStore()): CheckedLog =>
  new MemoryLog(store);
