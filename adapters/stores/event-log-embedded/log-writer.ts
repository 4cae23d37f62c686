// Appending to the embedded log, without a lock: an append goes to the end of the last segment in one
// write, is synced, and then the writer reads on and learns from the fold whether it was accepted. What
// came to nothing, behind the end of the segment or behind bytes that nobody can read, is repeated.
// Appends of one stream wait for one another; those of different streams do not.

import { LedgerError, isLedgerError } from '../../../domain/values/ledger-error.ts';
import {
  logReplaced,
  type Appended,
  type AppendRequest,
  type StoredEvent,
} from '../../../domain/ports/event-log.ts';
import { answeredBefore, checkAppend, conflict, revisionsOf } from '../append-requests.ts';
import { encodeAppend, isSameBytes, type EncodedAppend } from './layout.ts';
import { logReadOnly } from '../../files/guarded-file.ts';
import type { Judged, LogFold } from './log-fold.ts';
import { cutSegments, planCut } from './cut-segments.ts';
import type { LogReader } from './log-reader.ts';
import { encodeRecord } from './record-layout.ts';
import { mustRoll, rollSegment, segmentFormat, type CaughtUp } from './roll-segment.ts';
import type { Segments } from './segments.ts';
import { NO_HEAD, type Head } from './stream-heads.ts';
import type { Witness, Witnesses } from './witness.ts';

/** Where an append was come upon in the log. */
interface Found {
  /** Of its last event, of the bytes that it was verified with, and the place after it. */
  readonly position: number;
  readonly recordPosition: number;
  readonly end: number;
  readonly isAccepted: boolean;
}

/** An append that was written and not yet come upon in the log. */
interface Awaited {
  readonly lastHash: Uint8Array;
  found: Found | null;
}

export interface WriterParts {
  readonly segments: Segments;
  readonly isReadOnly: boolean;
  readonly segmentBytesMax: number;
  readonly reader: LogReader;
  readonly witnesses: Witnesses;
}

/** What is known about a stream's end: the log's head, or more where a witness says so. */
type StreamEnd = Pick<Head, 'revision' | 'hash' | 'end'>;

/** How often an append that came to nothing is repeated: each time somebody else has gone on. */
const ATTEMPTS_MAX = 64;

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
  /** The record that the fold accepted last. */
  #newest: Head | null = null;
  /** Bytes before this are known to be durable. */
  #syncedTo = 0;
  /** The last segment whose name is known to be durable. */
  #namedStart = -1;
  /** The last roll asked for: they run one after another. */
  #rolling: Promise<unknown> = Promise.resolve();
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
    if (isFirst) this.#newest = fold.state.newest();
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
    if (isAccepted) this.#newest = this.#fold!.state.of(last.stream);
    const awaited = this.#awaited.get(last.stream);
    if (awaited === undefined || !isSameBytes(last.hash, awaited.lastHash)) return;
    const { position, recordPosition, end } = last;
    awaited.found = { position, recordPosition, end, isAccepted };
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

  async format(): Promise<1 | 2> {
    await this.#catchUp();
    return segmentFormat(this.#parts.segments);
  }

  /** Ends the last segment and begins the next. */
  async seal(): Promise<void> {
    if (this.#parts.isReadOnly) throw logReadOnly(this.#parts.reader.path);
    await this.#roll('asked for');
  }

  /** Lets go of the beginnings of streams: ended segments are replaced by what is left of them. */
  async cut(cuts: ReadonlyMap<string, number>): Promise<void> {
    const { segments, reader, isReadOnly } = this.#parts;
    if (isReadOnly) throw logReadOnly(reader.path);
    await segments.refresh();
    const plan = await planCut(reader, segments, cuts);
    if (plan.isLastMeant) await this.seal();
    await cutSegments(segments, plan.isLastMeant ? await planCut(reader, segments, cuts) : plan);
  }

  /** Where the last record of a stream stands, or its event at the end of it. */
  async last(stream: string): Promise<Head | null> {
    await this.#catchUp();
    const head = this.#fold!.state.of(stream);
    return head.revision < 0 ? null : head;
  }

  async #append(request: AppendRequest): Promise<Appended> {
    const { reader, isReadOnly } = this.#parts;
    checkAppend(request);
    if (isReadOnly) throw logReadOnly(reader.path);
    if (this.#failure !== null) throw this.#failure;
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      const appended = await this.#tryAppend(request);
      if (appended !== null) return appended;
    }
    throw notFound(request, reader.path);
  }

  /** Null: it came to nothing, and is to be repeated. */
  async #tryAppend(request: AppendRequest): Promise<Appended | null> {
    const { stream, expectedRevision, events } = request;
    const { witnesses, reader } = this.#parts;
    const { end, seen } = await this.#startOf(request);
    if (end.revision !== expectedRevision) return this.#answerAgain(request, end);
    await this.#roll('needed');
    await witnesses.prepare(stream);
    const { start } = this.#parts.segments.last!;
    const encoded = await this.#encode(request, { previous: end.hash, seen });
    const awaited: Awaited = { lastHash: encoded.lastHash, found: null };
    this.#awaited.set(stream, awaited);
    try {
      await this.#checkLog();
      // Somebody ended the segment meanwhile: its mark is not the next one's.
      if (!(await this.#write(encoded.bytes, { after: end, start }))) return null;
      await this.#catchUp();
      if (!(await reader.isNamed())) throw logReplaced(reader.path, BigInt(end.end));
      if (awaited.found === null) await this.#vouch(request, encoded);
    } catch (error) {
      this.#failure ??= error;
      throw error;
    } finally {
      this.#awaited.delete(stream);
    }
    const { found } = awaited;
    if (found === null) return null;
    this.#syncedTo = Math.max(this.#syncedTo, found.end);
    if (!found.isAccepted) {
      // Perhaps it lost against itself, tried again by another process.
      return this.#answerAgain(request, await this.#endOf(stream));
    }
    const revision = expectedRevision + events.length;
    const { recordPosition: position } = found;
    await this.#witness({ ...found, position, stream, revision, hash: encoded.lastHash });
    return { position: BigInt(found.position), revision };
  }

  /** LOG_REPLACED where the log is not the one that was folded: nobody appends to one put back. */
  async #checkLog(): Promise<void> {
    const { reader } = this.#parts;
    const newest = this.#newest;
    if ((newest === null || (await reader.isInPlace(newest))) && (await reader.isNamed())) return;
    throw logReplaced(reader.path, BigInt(newest?.position ?? 0));
  }

  async #encode(
    request: AppendRequest,
    place: { readonly previous: Uint8Array; readonly seen: number },
  ): Promise<EncodedAppend> {
    const { segments } = this.#parts;
    const { format, marker } = await segments.opened(segments.last!);
    return format.format === 1
      ? encodeAppend(request, place)
      : encodeRecord(request, { ...place, marker });
  }

  /** False: another segment than the one from `start` on is appended to. */
  async #write(
    bytes: Uint8Array,
    { after, start }: { readonly after: StreamEnd; readonly start: number },
  ): Promise<boolean> {
    const { segments } = this.#parts;
    // Else a crash could lose what this append builds on and keep the append.
    await this.#syncUpTo(after.end);
    if (this.#namedStart < start) await segments.syncNames();
    this.#namedStart = Math.max(this.#namedStart, start);
    const file = await segments.writable();
    if (segments.last!.start !== start) return false;
    await file.append(bytes);
    await file.sync();
    return true;
  }

  /** What lies before the last segment was durable before that was made. */
  async #syncUpTo(end: number): Promise<void> {
    const { segments } = this.#parts;
    if (end <= Math.max(this.#syncedTo, segments.last!.start)) return;
    await (await segments.writable()).sync();
    this.#syncedTo = Math.max(this.#syncedTo, end);
  }

  /**
   * In a file of format 1 the first append of a stream behind unreadable bytes counts by its witness
   * alone, which therefore is durable before the append is said to be.
   */
  async #vouch({ stream, expectedRevision, events }: AppendRequest, { lastHash }: EncodedAppend) {
    const { segments, witnesses } = this.#parts;
    if ((await segmentFormat(segments)) !== 1) return;
    const undecided = (await this.#fold!.undecided()).find(({ hash }) =>
      isSameBytes(hash, lastHash),
    );
    if (undecided === undefined) return;
    const { position, end } = undecided;
    const revision = expectedRevision + events.length;
    const witness = { stream, revision, hash: lastHash, position, end };
    await witnesses.write(witness, { isDurable: true });
    await this.#catchUp();
  }

  /** Goes on in a new segment, where that is needed or asked for. */
  #roll(why: 'needed' | 'asked for'): Promise<void> {
    const { segments, segmentBytesMax } = this.#parts;
    const run = async (): Promise<void> => {
      const caughtUp = this.#fold === null ? await this.#catchUp() : null;
      const fold = caughtUp?.fold ?? this.#fold!;
      if (why === 'needed' && !(await mustRoll(segments, fold, segmentBytesMax))) return;
      await rollSegment(segments, {
        catchUp: () => this.#catchUp(),
        isAskedFor: why === 'asked for',
        segmentBytesMax,
      });
    };
    const rolled = this.#rolling.then(run, run);
    this.#rolling = rolled;
    return rolled;
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
  async #answerAgain(request: AppendRequest, end: StreamEnd): Promise<Appended> {
    const { stream } = request;
    const { revision: actual } = end;
    const range = revisionsOf(request, actual);
    if (range === null) throw conflict(request, actual);
    const found: StoredEvent[] = [];
    try {
      const from = { stream, ...range, fromPosition: 0n };
      for await (const events of this.#parts.reader.readStream(from)) found.push(...events);
    } catch (error) {
      if (isLedgerError(error) && error.code === 'LOG_DAMAGED') throw conflict(request, actual);
      throw error;
    }
    const appended = answeredBefore(request, { found, actual });
    // It may be in the log and not yet durable: its writer may have been killed between.
    await this.#syncUpTo(end.end);
    return appended;
  }
}

const notFound = ({ stream }: AppendRequest, path: string): LedgerError =>
  new LedgerError(
    'IO_FAILED',
    `found nothing of an append to ${stream} in ${path}, expected to read what was just written; see to the device`,
    { file: path, stream },
  );
