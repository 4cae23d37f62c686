// Appending to the embedded log, without a lock: the frames go to the file's end in one write, are
// synced, and then the writer reads on and learns from the fold whether they were accepted. Appends
// of one stream wait for one another; those of different streams do not.

import { assert } from '../../../domain/values/assert.ts';
import { LedgerError, isLedgerError } from '../../../domain/values/ledger-error.ts';
import { NO_STREAM, type Appended, type AppendRequest } from '../../../domain/ports/event-log.ts';
import { encodeAppend, isSameBytes, refusedSize } from './layout.ts';
import { logReadOnly, type GuardedFile } from '../../files/guarded-file.ts';
import { endOf, type Judged, type LogFold } from './log-fold.ts';
import type { LogReader } from './log-reader.ts';
import { NO_HEAD, type Head } from './stream-heads.ts';
import type { Witness, Witnesses } from './witness.ts';

/** An append that was written and not yet come upon in the log. */
interface Awaited {
  readonly lastHash: Uint8Array;
  found: { readonly position: number; readonly end: number; readonly isAccepted: boolean } | null;
}

export interface WriterParts {
  /** Opened for appending; null: the log is open for reading only. */
  readonly file: GuardedFile | null;
  readonly reader: LogReader;
  readonly witnesses: Witnesses;
}

/** What is known about a stream's end: the log's head, or more where a witness says so. */
type StreamEnd = Pick<Head, 'revision' | 'hash' | 'end'>;

interface CaughtUp {
  readonly fold: LogFold;
  readonly position: number;
  /** All bytes before this place were looked at. */
  readonly seen: number;
}

/** The writing side of one open log. */
export class LogWriter {
  readonly #parts: WriterParts;
  /** Folds to the log's end; made at the first use. */
  #fold: LogFold | null = null;
  /** The last catch-up asked for: they run one after another. */
  #catchingUp: Promise<unknown> = Promise.resolve();
  readonly #awaited = new Map<string, Awaited>();
  /** The last append asked for, by stream. */
  readonly #queues = new Map<string, Promise<unknown>>();
  /** Ends of streams whose witnesses have been asked. */
  readonly #ends = new Map<string, StreamEnd>();
  /** Up to where the last catch-up had looked. */
  #lastSeen = 0;
  /** Bytes before this are known to be durable. */
  #syncedTo = 0;
  #failure: unknown = null;

  constructor(parts: WriterParts) {
    this.#parts = parts;
  }

  /** Appends after all earlier appends to the same stream. */
  append(request: AppendRequest): Promise<Appended> {
    const { stream } = request;
    const before = this.#queues.get(stream) ?? Promise.resolve();
    const run = (): Promise<Appended> => this.#append(request);
    const appended = before.then(run, run);
    this.#queues.set(stream, appended);
    const forget = (): void => {
      if (this.#queues.get(stream) === appended) this.#queues.delete(stream);
    };
    appended.then(forget, forget);
    return appended;
  }

  /** The place after the last event. */
  async head(): Promise<number> {
    return (await this.#catchUp()).position;
  }

  async streamRevision(stream: string): Promise<number> {
    await this.#catchUp();
    return (await this.#endOf(stream)).revision;
  }

  /** Waits for what is under way. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#queues.values());
    await Promise.allSettled([this.#catchingUp]);
    await this.#parts.witnesses.close();
  }

  /** Folds what is in the log when it is called, and perhaps more. */
  #catchUp(): Promise<CaughtUp> {
    const run = (): Promise<CaughtUp> => this.#foldOn();
    const caughtUp = this.#catchingUp.then(run, run);
    this.#catchingUp = caughtUp;
    return caughtUp;
  }

  async #foldOn(): Promise<CaughtUp> {
    const { reader } = this.#parts;
    const isFirst = this.#fold === null;
    const fold = (this.#fold ??= reader.fold(Number.MAX_SAFE_INTEGER));
    for (let judged = await fold.next(); judged !== null; judged = await fold.next()) {
      this.#notice(judged);
      reader.remember(fold);
    }
    if (isFirst) reader.checkpoints.add(fold.state);
    this.#lastSeen = fold.readTo;
    return { fold, position: fold.state.position, seen: fold.readTo };
  }

  #notice({ frames, isAccepted }: Judged): void {
    const last = frames.at(-1)!;
    const awaited = this.#awaited.get(last.stream);
    if (awaited === undefined || !isSameBytes(last.hash, awaited.lastHash)) return;
    awaited.found = { position: last.position, end: endOf(last), isAccepted };
  }

  async #endOf(stream: string): Promise<StreamEnd> {
    if (!this.#ends.has(stream)) {
      const witness = await this.#parts.witnesses.of(stream);
      // What the witness speaks of was durable before it was written: now it is in the log or lost.
      if (witness !== null) await this.#catchUp();
      this.#ends.set(stream, witness ?? NO_HEAD);
    }
    const witnessed = this.#ends.get(stream)!;
    const head = this.#fold?.state.of(stream) ?? NO_HEAD;
    return witnessed.revision > head.revision ? witnessed : head;
  }

  /**
   * The stream's end as far as it must be known to append. Where it is the one that the request
   * expects, nothing is read: whether another writer was first shows afterwards anyway.
   */
  async #startOf(
    request: AppendRequest,
  ): Promise<{ readonly end: StreamEnd; readonly seen: number }> {
    const { stream, expectedRevision } = request;
    const known = this.#lastSeen;
    const head = this.#ends.has(stream) ? await this.#endOf(stream) : null;
    if (head?.revision === expectedRevision) return { end: head, seen: known };
    const { seen } = await this.#catchUp();
    return { end: await this.#endOf(stream), seen };
  }

  async #append(request: AppendRequest): Promise<Appended> {
    const { stream, expectedRevision, events } = request;
    const { file, witnesses, reader } = this.#parts;
    assert(events.length > 0, 'an append has an event');
    if (file === null) throw logReadOnly(reader.path);
    if (this.#failure !== null) throw this.#failure;
    const refused = refusedSize(request);
    if (refused !== null) throw refused;
    const { end, seen } = await this.#startOf(request);
    if (end.revision !== expectedRevision) return this.#answerAgain(request, { file, end });
    await witnesses.prepare(stream);
    const encoded = encodeAppend(request, { previous: end.hash, seen });
    const awaited: Awaited = { lastHash: encoded.lastHash, found: null };
    this.#awaited.set(stream, awaited);
    try {
      // Else a crash could lose what this append builds on and keep the append.
      if (end.end > this.#syncedTo) await this.#sync(file, end.end);
      await file.append(encoded.bytes);
      await file.sync();
      await this.#catchUp();
      if (awaited.found === null) throw notFound(request, reader.path);
    } catch (error) {
      this.#failure ??= error;
      throw error;
    } finally {
      this.#awaited.delete(stream);
    }
    const { found } = awaited;
    this.#syncedTo = Math.max(this.#syncedTo, found.end);
    if (!found.isAccepted) {
      // Perhaps it lost against itself, tried again by another process.
      return this.#answerAgain(request, { file, end: await this.#endOf(stream) });
    }
    const revision = expectedRevision + events.length;
    await this.#witness({ ...found, stream, revision, hash: encoded.lastHash });
    return { position: BigInt(found.position), revision };
  }

  async #sync(file: GuardedFile, end: number): Promise<void> {
    await file.sync();
    this.#syncedTo = Math.max(this.#syncedTo, end);
  }

  async #witness({ stream, revision, hash, position, end }: Witness): Promise<void> {
    try {
      await this.#parts.witnesses.write({ stream, revision, hash, position, end });
    } catch (error) {
      // The append is durable; a witness that cannot be written only witnesses less.
      if (!isLedgerError(error)) throw error;
    }
  }

  /** The answer given before, if this append is in the log already; else REVISION_CONFLICT. */
  async #answerAgain(
    request: AppendRequest,
    { file, end }: { readonly file: GuardedFile; readonly end: StreamEnd },
  ): Promise<Appended> {
    const { stream, expectedRevision, events } = request;
    const revision = expectedRevision + events.length;
    if (revision > end.revision || expectedRevision < NO_STREAM) {
      throw conflict(request, end.revision);
    }
    let position = 0n;
    let count = 0;
    const range = { stream, fromRevision: expectedRevision + 1, count: events.length };
    try {
      for await (const chunk of this.#parts.reader.readStream({ ...range, fromPosition: 0n })) {
        for (const event of chunk) {
          if (!isSameBytes(event.id, events[count]!.id)) throw conflict(request, end.revision);
          count += 1;
          position = event.position;
        }
      }
    } catch (error) {
      if (isLedgerError(error) && error.code === 'LOG_DAMAGED') {
        throw conflict(request, end.revision);
      }
      throw error;
    }
    if (count < events.length) throw conflict(request, end.revision);
    // It may be in the log and not yet durable: its writer may have been killed between.
    if (end.end > this.#syncedTo) await this.#sync(file, end.end);
    return { position, revision };
  }
}

const conflict = ({ stream, expectedRevision }: AppendRequest, actual: number): LedgerError =>
  new LedgerError(
    'REVISION_CONFLICT',
    `found stream ${stream} at revision ${actual}, expected ${expectedRevision}: another writer was first; read on and decide again`,
    { stream, expected: expectedRevision, actual },
  );

const notFound = ({ stream }: AppendRequest, path: string): LedgerError =>
  new LedgerError(
    'IO_FAILED',
    `found nothing of an append to ${stream} in ${path}, expected to read what was just written; see to the device`,
    { file: path, stream },
  );
