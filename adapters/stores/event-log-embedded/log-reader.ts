// Reading the embedded log: items in log order from any place, the events of one stream, and what is
// missing at the ends of streams according to their witnesses.

import { LedgerError } from '../../../domain/values/ledger-error.ts';
import {
  isMarked,
  logReplaced,
  type EventMark,
  type LogChunk,
  type LogDamage,
  type StoredEvent,
  type StreamRange,
} from '../../../domain/ports/event-log.ts';
import { Checkpoints, decodedCheckpoints } from './read-starts.ts';
import type { Frame } from './frame.ts';
import { EventChunk, ItemChunk, storedEvent } from './log-chunks.ts';
import { LogFold, type Judged } from './log-fold.ts';
import { LogScanner } from './log-scanner.ts';
import type { LookAheadSource } from './look-ahead.ts';
import { HASH_BYTES, isSameBytes } from './layout.ts';
import { MARK_BYTES, recordStart } from './record-layout.ts';
import type { Segments } from './segments.ts';
import { StreamHeads, type Head } from './stream-heads.ts';
import type { Witness, Witnesses } from './witness.ts';

const NEVER = Number.MAX_SAFE_INTEGER;

export interface LogFiles {
  readonly segments: Segments;
  readonly witnesses: Witnesses;
}

/** The damage of records that a witness knows and the log does not give. */
export const lostEnd = (witness: Witness, state: StreamHeads): LogDamage => {
  const { revision } = state.of(witness.stream);
  return {
    position: BigInt(witness.position),
    lengthBytes: witness.end - witness.position,
    stream: witness.stream,
    revisions: [revision + 1, witness.revision],
    reason: `found ${witness.stream} to end at revision ${revision}, expected ${witness.revision} as its witness says: the records between cannot be read`,
  };
};

const streamDamaged = (damage: LogDamage, path: string): LedgerError =>
  new LedgerError(
    'LOG_DAMAGED',
    `${path}, byte ${damage.position}: ${damage.reason}; verify the ledger, and restore the log from a copy`,
    {
      file: path,
      offset: damage.position,
      stream: damage.stream,
      first: damage.revisions?.[0] ?? null,
      last: damage.revisions?.[1] ?? null,
    },
  );

export interface ItemRange {
  readonly from: number;
  /** Null: the log's end when reading starts. */
  readonly until: number | null;
  /** A place that the log reached: without `until` it may count as its end; null: none is known. */
  readonly reached: number | null;
  /** What was read last. */
  readonly after: EventMark | null;
}

/** The reading side of one open log. */
export class LogReader {
  readonly #log: LogFiles;
  readonly checkpoints = new Checkpoints();
  /** Streams whose witness must be looked at; null: all, none has been yet. */
  #suspects: Set<string> | null = null;
  /** The last event of the record that was read last, where whoever reads on mostly begins. */
  #newest: Frame | null = null;

  constructor(log: LogFiles) {
    this.#log = log;
  }

  get path(): string {
    return this.#log.segments.path;
  }

  /** The file that is appended to. */
  get livePath(): string {
    const { last, path } = this.#log.segments;
    return last?.path ?? path;
  }

  lookForSegments(): Promise<void> {
    return this.#log.segments.refresh();
  }

  sizeBytes(): Promise<number> {
    return this.#log.segments.sizeBytes();
  }

  /** A fold that will have judged everything before `from`, from the nearest checkpoint. */
  fold(from: number): LogFold {
    const start = this.checkpoints.before(from, () => true)?.copy() ?? new StreamHeads();
    return new LogFold(this.#source(), { state: start, eventsFrom: from });
  }

  /** A fold of all there is, without events. */
  foldAll(): LogFold {
    return new LogFold(this.#source(), { state: new StreamHeads(), eventsFrom: NEVER });
  }

  #source(): LookAheadSource {
    const { segments, witnesses } = this.#log;
    return { segments, witnessOf: (stream) => witnesses.of(stream) };
  }

  /** Keeps what a fold knows, if it is news. */
  remember(fold: LogFold): void {
    if (this.checkpoints.wants(fold.state.position)) this.checkpoints.add(fold.state);
  }

  /** LOG_REPLACED where the log does not have an event that was read, or other files are in its place. */
  async check(after: EventMark | null): Promise<void> {
    if (after === null) return;
    const isThere = (await this.#isNewest(after)) || (await this.#isMarked(after));
    if (!isThere || !(await this.isNamed())) throw logReplaced(this.path, after.position);
  }

  /** Whether that is the event that was read last, and its record is in its place still. */
  async #isNewest(mark: EventMark): Promise<boolean> {
    const newest = this.#newest;
    if (newest === null || !isMarked(mark, storedEvent(newest))) return false;
    return this.isInPlace(newest);
  }

  async #isMarked(mark: EventMark): Promise<boolean> {
    const found = (await this.#framesAt(Number(mark.position), 0)).find(
      ({ position }) => BigInt(position) === mark.position,
    );
    return found !== undefined && isMarked(mark, storedEvent(found));
  }

  /** Whether the log has a record that a fold came upon, whole. */
  async has({ position, end, hash }: Head): Promise<boolean> {
    const last = (await this.#framesAt(position)).find(
      (frame) => frame.recordPosition === position && frame.end === end,
    );
    return last !== undefined && isSameBytes(last.hash, hash);
  }

  /**
   * Whether a record that a fold came upon is in its place still: by its chain value, with which records
   * of both formats end, and which no other record and no other past has. One read of so many bytes.
   */
  async isInPlace({ end, hash }: Pick<Head, 'end' | 'hash'>): Promise<boolean> {
    const bytes = new Uint8Array(HASH_BYTES);
    const found = await this.#log.segments.read(bytes, end - HASH_BYTES);
    return found === HASH_BYTES && isSameBytes(bytes, hash);
  }

  /** The event that a record of a stream ends with; null: it was let go. */
  async eventAt({ position, revision }: Head, stream: string): Promise<StoredEvent | null> {
    const found = (await this.#framesAt(position, 0)).findLast(
      (frame) => frame.stream === stream && frame.revision === revision,
    );
    return found === undefined ? null : storedEvent(found);
  }

  /** Whether the file that is appended to is the one of its name still. */
  isNamed(): Promise<boolean> {
    return this.#log.segments.isNamed();
  }

  /** Items from a place on; `until` null: to the end as it is now. */
  async *read({ from, until, reached, after }: ItemRange): AsyncGenerator<LogChunk> {
    await this.check(after);
    // Where no witness is in doubt, nobody has to look where the log ends.
    const isKnownEnd = until === null && reached !== null && this.#suspects?.size === 0;
    const toEnd = until === null && !isKnownEnd;
    if (toEnd) await this.lookForSegments();
    const { pasts } = this.#log.segments;
    const end = toEnd ? await this.sizeBytes() : (reached ?? from);
    const limit = until ?? Math.max(from, end);
    // Without `until` an append that was half written at the start is given whole, or not at all.
    const given = { from, limit: until ?? NEVER };
    const fold = this.fold(from);
    const chunk = new ItemChunk();
    let witnesses: readonly Witness[] | null = isKnownEnd ? [] : null;
    for (;;) {
      while (fold.state.position < limit) {
        const judged = await fold.next();
        if (judged === null) break;
        chunk.add(judged, given);
        this.#note(judged);
        this.remember(fold);
        if (!chunk.isFull) continue;
        this.checkPast(pasts, from);
        yield chunk.take(fold, given);
      }
      if (witnesses !== null) break;
      // A writer may have ended between: the fold goes on once more before a witness is believed.
      witnesses = await this.loadWitnesses();
    }
    if (until === null) this.checkpoints.add(fold.state);
    const lost = await this.lostEnds(fold.state, { witnesses, from, limit });
    if (toEnd) this.#suspects = new Set(lost.map(({ stream }) => stream));
    for (const witness of lost) chunk.addDamage(lostEnd(witness, fold.state));
    this.checkPast(pasts, from);
    yield chunk.take(fold, given);
  }

  #note({ frames, isAccepted }: Judged): void {
    const last = frames.at(-1)!;
    if (isAccepted && last.event !== null) this.#newest = last;
  }

  /** How often the log was found to be what is left of the one that was read before. */
  get pasts(): number {
    return this.#log.segments.pasts;
  }

  /** LOG_REPLACED where a part of the log was let go, behind a place, while it was read from there. */
  checkPast(pasts: number, from: number): void {
    const { segments } = this.#log;
    if (segments.pasts === pasts) return;
    for (const { end } of segments.cuts.values())
      if (end > from) throw logReplaced(this.path, BigInt(from));
  }

  /** All witnesses the first time, later those that said more than the log gave. */
  async loadWitnesses(): Promise<readonly Witness[]> {
    const { witnesses } = this.#log;
    const found: Witness[] = [];
    if (this.#suspects === null) {
      for await (const { file } of witnesses.all()) {
        if (file.witness !== null) found.push(file.witness);
      }
      return found;
    }
    for (const stream of this.#suspects) {
      const witness = await witnesses.of(stream);
      if (witness !== null) found.push(witness);
    }
    return found;
  }

  /** The witnesses of records inside a range that the log does not give. */
  async lostEnds(
    state: StreamHeads,
    range: {
      readonly witnesses: readonly Witness[];
      readonly from: number;
      readonly limit: number;
    },
  ): Promise<readonly Witness[]> {
    const more = range.witnesses.filter(
      ({ stream, revision }) => revision > state.of(stream).revision,
    );
    if (more.length === 0) return more;
    const sizeBytes = await this.sizeBytes();
    // One that lies beyond the range is of a later append, unless the log is cut off before it.
    return more.filter(
      ({ position, end }) => position >= range.from && (position < range.limit || end > sizeBytes),
    );
  }

  /** Events of one stream in order, in chunks. LOG_DAMAGED where one is missing. */
  async *readStream(range: StreamRange): AsyncGenerator<readonly StoredEvent[]> {
    if (range.count <= 0) return;
    const fold = await this.#streamFold(range);
    try {
      yield* this.#eventsOf(fold, range);
    } finally {
      fold.release();
    }
  }

  async *#eventsOf(fold: LogFold, range: StreamRange): AsyncGenerator<readonly StoredEvent[]> {
    const { stream } = range;
    const chunk = new EventChunk(range);
    let witness: Witness | null = null;
    for (let isLast = false; ; isLast = true) {
      for (let judged = await fold.next(); judged !== null; judged = await fold.next()) {
        if (!judged.isAccepted) continue;
        const { damage } = judged;
        if (damage !== null && judged.frames[0]!.revision > chunk.wanted) {
          if (!chunk.isEmpty) yield chunk.take();
          throw streamDamaged(damage, this.#pathOf(damage));
        }
        chunk.add(judged.frames);
        if (chunk.isFull) yield chunk.take();
        if (chunk.isDone) return;
      }
      if (isLast) break;
      witness = await this.#log.witnesses.of(stream);
    }
    if (!chunk.isEmpty) yield chunk.take();
    if (witness !== null && witness.revision >= chunk.wanted) {
      const lost = lostEnd(witness, fold.state);
      throw streamDamaged(lost, this.#pathOf(lost));
    }
  }

  #pathOf({ position }: LogDamage): string {
    return this.#log.segments.pathAt(Number(position));
  }

  /** A fold of one stream that starts at the range's place if its event is there, else before. */
  async #streamFold(range: StreamRange): Promise<LogFold> {
    const { stream, fromRevision, arePassing = false } = range;
    const from = Number(range.fromPosition);
    const frames = await this.#framesAt(from);
    const found = frames.find(({ position }) => position === from);
    if (found?.stream === stream && found.revision === fromRevision) {
      const first = frames[0]!;
      const { position, previous } = first;
      const before = { position, end: position, revision: first.revision - 1, hash: previous };
      const state = new StreamHeads(position, new Map([[stream, before]]));
      const wanted = { eventsFrom: from, arePassing };
      return new LogFold(this.#source(), { state, ...wanted, stream, trusted: first });
    }
    const near = this.checkpoints.before(from, (state) => state.of(stream).revision < fromRevision);
    const state = near?.copy() ?? new StreamHeads();
    return new LogFold(this.#source(), { state, eventsFrom: state.position, arePassing, stream });
  }

  /** What was verified together with the event at a position; nothing where there is none. */
  async #framesAt(position: number, eventsFrom = NEVER): Promise<readonly Frame[]> {
    const { segments } = this.#log;
    const segment = segments.at(position);
    if (segment === null) return [];
    const { format, marker } = await segments.opened(segment);
    let from = position;
    if (format.format === 2) {
      const bytes = new Uint8Array(MARK_BYTES);
      const got = await segments.read(bytes, position);
      from = recordStart(bytes.subarray(0, got), position, marker);
      if (from < segment.start) return [];
    }
    const scanner = new LogScanner(segments, { from, eventsFrom });
    const piece = await scanner.next();
    return piece?._tag === 'append' && piece.frames[0]!.recordPosition === from ? piece.frames : [];
  }

  /** The serialised heads at a position, or at the end of the last append before it, and some before. */
  async headsAt(position: number): Promise<Uint8Array> {
    let fold = this.fold(position);
    let boundary = fold.state.position;
    while (fold.state.position < position && (await fold.next()) !== null) {
      if (fold.state.position <= position) boundary = fold.state.position;
      this.remember(fold);
    }
    if (fold.state.position > position) {
      fold = this.fold(boundary);
      while (fold.state.position < boundary && (await fold.next()) !== null);
    }
    return this.checkpoints.encodedTo(fold.state);
  }

  /** Takes heads that were handed out earlier; false: they do not fit this log. */
  async offerHeads(bytes: Uint8Array): Promise<boolean> {
    const states = decodedCheckpoints(bytes);
    const [last] = states;
    if (last === undefined || last.position > (await this.sizeBytes())) return false;
    // Chain values bind what is before the newest record to it.
    const newest = last.newest();
    if (newest !== null && !(await this.has(newest))) return false;
    for (const state of states.toReversed()) this.checkpoints.add(state);
    return true;
  }
}
