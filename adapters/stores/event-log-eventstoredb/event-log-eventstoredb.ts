// The event log on EventStoreDB (docs/events.md, decision 0001): ordering, replication and durability
// are the server's. A stream of the ledger NAME is `NAME.` and the stream's own name; a position is an
// event's commit position, as the server's own UI shows it, and the place after an event is one more.
//
// Loaded only where a ledger on a server is opened.

import type { TaskEither } from 'fp-ts/lib/TaskEither.js';
import type { LedgerError } from '../../../domain/values/ledger-error.ts';
import { atPort, run } from '../../../domain/ports/run.ts';
import type { Finding } from '../../../domain/values/finding.ts';
import {
  isMarked,
  logReplaced,
  type EventLog,
  type EventMark,
  type LogChunk,
  type LogSignal,
  type Position,
} from '../../../domain/ports/event-log.ts';
import { Appender } from './appender.ts';
import { checkLog } from './check.ts';
import { readCertificates } from './client.ts';
import {
  Connection,
  LOG_LIMITS,
  type LogLimits,
  type LogNotice,
  type OperationTries,
} from './connection.ts';
import { checkMark, follow } from './follow.ts';
import { LedgerStreams, type PlacedEvent, type ServerPlace } from './streams.ts';
import { parseConnectionString, parseLedgerUrl, withoutSecrets } from './ledger-url.ts';

/** An event log on a server, and what only such a one has. */
export interface EventStoreLog extends EventLog {
  /** Reads everything and names what is missing, deleted or of others. */
  check(): AsyncIterable<Finding>;
}

export interface OpenEventStoreLog {
  /** The server's connection string, as parseLedgerUrl gives it. */
  readonly url: string;
  /** The ledger's name on the server. */
  readonly ledger: string;
  /** Hears when the server does not answer, and when it answers again. */
  readonly onNotice?: (notice: LogNotice) => void;
  readonly limits?: Partial<LogLimits>;
}

const never = new AbortController().signal;

class ServerLog implements EventStoreLog {
  readonly #connection: Connection;
  readonly #streams: LedgerStreams;
  readonly #appender: Appender;
  /** What was read last, where the newest event of the server was last found to be that. */
  #newestRead: { readonly mark: EventMark; readonly place: ServerPlace } | null = null;

  constructor(connection: Connection, ledger: string) {
    this.#connection = connection;
    this.#streams = new LedgerStreams(connection, ledger);
    this.#appender = new Appender(connection, this.#streams);
  }

  append: EventLog['append'] = (request) => atPort(() => this.#appender.append(request));

  async *read(request: Parameters<EventLog['read']>[0]): AsyncGenerator<LogChunk> {
    const { from, until, after = null, reached } = request;
    const head = reached ?? (await this.#head());
    const bound = until === undefined || until > head ? head : until;
    let next = from;
    let isEmpty = true;
    if (from >= bound && after !== null) await this.#checkMark(after);
    if (from < bound)
      for await (const signal of this.#follow({
        from,
        after,
        found: reached === undefined ? null : this.#foundAt(from, after),
        head,
        bound,
        signal: never,
      })) {
        if (signal._tag === 'caughtUp') break;
        if (signal._tag === 'reconnected') continue;
        const { items } = signal;
        ({ next } = signal);
        isEmpty = false;
        yield { items, next };
      }
    this.#connection.checkOpen();
    // What others wrote up to the end is passed over: the next reading need not look at it again.
    const isToTheEnd = bound === head && next < head;
    if (isEmpty || isToTheEnd) yield { items: [], next: isToTheEnd ? head : next };
  }

  readStream: EventLog['readStream'] = (range) => this.#streams.read(range);

  async *subscribe(request: Parameters<EventLog['subscribe']>[0]): AsyncGenerator<LogSignal> {
    const { from, after = null } = request;
    const { closing } = this.#connection;
    const signal = AbortSignal.any([request.signal, closing]);
    if (!signal.aborted) {
      const tries = { operation: 'following the log', giveUpAfterMs: Infinity, signal };
      const head = await this.#headOrNull(tries);
      if (head !== null) yield* this.#follow({ from, after, head, bound: null, signal });
    }
    if (!request.signal.aborted) throw this.#connection.closed();
  }

  /** Where the event is after which reading goes on at a place, if it was the newest one just now. */
  #foundAt(from: Position, after: EventMark | null): ServerPlace | null {
    const { mark, place } = this.#newestRead ?? {};
    const isThat = mark !== undefined && mark.id === after?.id && mark.position === after.position;
    return isThat && mark.position === from - 1n ? place! : null;
  }

  /** LOG_REPLACED where an event that was read is not there. */
  async #checkMark(mark: EventMark): Promise<void> {
    const parts = { connection: this.#connection, streams: this.#streams };
    await this.#connection.call('reading the log', (client) => checkMark(parts, client, mark));
  }

  #follow(request: {
    readonly from: Position;
    readonly after: EventMark | null;
    readonly found?: ServerPlace | null;
    readonly head: Position;
    readonly bound: Position | null;
    readonly signal: AbortSignal;
  }): AsyncGenerator<LogSignal> {
    const { limits } = this.#connection;
    const giveUpAfterMs = request.bound === null ? Infinity : limits.giveUpAfterMs;
    const parts = { connection: this.#connection, streams: this.#streams };
    return follow({ ...parts, ...request, giveUpAfterMs });
  }

  #newest(tries?: OperationTries): Promise<PlacedEvent | null> {
    const operation = "looking for the log's end";
    return this.#connection.call(tries ?? operation, (client) =>
      this.#streams.readOne(client, 'newest'),
    );
  }

  async #head(tries?: OperationTries): Promise<Position> {
    const newest = await this.#newest(tries);
    return newest === null ? 0n : newest.place.commit + 1n;
  }

  /** Where others have not written since, the newest event is the one that was read last, or should be. */
  async #headAfter(after: EventMark): Promise<Position> {
    this.#newestRead = null;
    const newest = await this.#newest();
    const head = newest === null ? 0n : newest.place.commit + 1n;
    const found = newest === null ? null : this.#streams.found(newest);
    // Of what came since, the reading that follows finds out; of others' events nobody reads.
    if (head > after.position + 1n) {
      if (found === null) await this.#checkMark(after);
      return head;
    }
    if (newest !== null && found !== null && isMarked(after, found.event)) {
      this.#newestRead = { mark: after, place: newest.place };
      return head;
    }
    throw logReplaced(this.#connection.place, after.position);
  }

  /** The head, for as long as it takes; null: the tries were aborted. */
  async #headOrNull(
    tries: OperationTries & { readonly signal: AbortSignal },
  ): Promise<Position | null> {
    try {
      return await this.#head(tries);
    } catch (thrown) {
      if (tries.signal.aborted) return null;
      throw thrown;
    }
  }

  head: EventLog['head'] = (after = null) =>
    atPort(() => (after === null ? this.#head() : this.#headAfter(after)));

  streamRevision: EventLog['streamRevision'] = (stream) =>
    atPort(() => this.#streams.revision(stream));

  last: EventLog['last'] = (stream) => atPort(() => this.#streams.last(stream));

  cut: EventLog['cut'] = (firstKept) =>
    atPort(async () => {
      for (const [stream, revision] of firstKept) await this.#streams.cut(stream, revision);
    });

  check(): AsyncIterable<Finding> {
    return checkLog({
      place: this.#connection.place,
      streams: this.#streams,
      read: (range) => this.read(range),
    });
  }

  close(): Promise<void> {
    return this.#connection.close();
  }
}

/** Opens the log of a ledger on a server. Nothing is sent yet: the first call finds out who answers. */
export const openEventStoreLog = (
  request: OpenEventStoreLog,
): TaskEither<LedgerError, EventStoreLog> =>
  atPort(async () => {
    const settings = parseConnectionString(request.url);
    const { defaultDeadline: callMs } = settings.numbers;
    const connection = new Connection({
      settings,
      certificates: await readCertificates(settings),
      limits: { ...LOG_LIMITS, ...(callMs === undefined ? {} : { callMs }), ...request.limits },
      onNotice: request.onNotice ?? (() => undefined),
    });
    return new ServerLog(connection, request.ledger);
  });

/** A ledger's log on a server, and what the ledger is called there. */
export interface NamedLog {
  readonly log: EventStoreLog;
  readonly name: string;
  /** The server's URL, as it may be repeated: without secrets. */
  readonly shownUrl: string;
}

/** Opens the log that a ledger's URL names; `patienceMs` is how long a server is waited for. */
export async function openSharedLog(request: {
  readonly url: string;
  readonly onNotice?: (sentence: string) => void;
  readonly patienceMs?: number;
}): Promise<NamedLog> {
  const { connectionString, ledger: name } = parseLedgerUrl(request.url);
  const { onNotice, patienceMs } = request;
  const log = await run(
    openEventStoreLog({
      url: connectionString,
      ledger: name,
      ...(onNotice === undefined ? {} : { onNotice: ({ text }) => onNotice(text) }),
      ...(patienceMs === undefined ? {} : { limits: { giveUpAfterMs: patienceMs } }),
    }),
  );
  return { log, name, shownUrl: withoutSecrets(request.url) };
}
