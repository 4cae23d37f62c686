// The fold of a log that decides which records stand: the same in every process, since it looks at
// nothing but the records and their witnesses (docs/format.md, "Event log"). Per stream one sequence is
// accepted:
//
// - an append counts when it is there whole; what a crash cut off is void;
// - it is accepted if its first revision follows the stream's head and its chain value is the
//   head's; an append of a revision that is taken already lost a race: void;
// - a first revision beyond head + 1 proves that records between were written and are missing, for
//   writers build only on what was accepted: damage, and then the append is accepted.
//
// Three cases cannot be told from what came before: frames of an append of which some are missing (cut
// off, or damaged?), an append whose writer had not yet seen bytes that are unreadable now (did they
// hold the winner of a race?), and what stands behind unreadable bytes (a record, or the bytes of one
// inside an event?). There what follows decides, then the witness (look-ahead.ts). Invariant: the
// state's position never lies where what follows is in doubt.

import type { LogDamage } from '../../../domain/ports/event-log.ts';
import { firstRevision, isWhole, lastRevision, type EventsWanted, type Frame } from './frame.ts';
import type { End, Unreadable } from './frame-scanner.ts';
import { LogScanner } from './log-scanner.ts';
import { LookAhead, type Later, type LaterAppend, type LookAheadSource } from './look-ahead.ts';
import { isSameBytes } from './layout.ts';
import { newerLog } from './segment-header.ts';
import type { Head, StreamHeads } from './stream-heads.ts';

/** What became of one append, or of the frames of one that are left. */
export interface Judged {
  readonly frames: readonly Frame[];
  readonly isAccepted: boolean;
  /** Records that are missing before `frames`. */
  readonly damage: LogDamage | null;
}

export interface FoldStart extends EventsWanted {
  /** Heads at the place to start from. The fold owns them. */
  readonly state: StreamHeads;
  /** Judge this stream only, and pass over others. */
  readonly stream?: string;
  /** A frame in the middle of an append that is known to be accepted: the rest of it is, too. */
  readonly trusted?: Frame;
}

/** A part of the log that begins with unreadable bytes. */
interface Region {
  readonly end: number;
  /** Positions of what counts in it, and of what is proven to have been accepted. */
  readonly counts: ReadonlySet<number>;
  readonly proven: ReadonlySet<number>;
}

const NO_REGION: Region = { end: 0, counts: new Set(), proven: new Set() };

/** An append that is there and counts for nothing yet. */
export type Undecided = LaterAppend & Pick<Later, 'position' | 'end'>;

/** Folds a log from `state` on. Owns `state`. Not for concurrent use. */
export class LogFold {
  readonly state: StreamHeads;
  readonly #source: LookAheadSource;
  readonly #wanted: EventsWanted;
  /** Null: all. */
  readonly #stream: string | null;
  #scanner: LogScanner;
  #readTo = 0;
  #region = NO_REGION;
  #ahead: LookAhead | null = null;
  /** The append of which some frames were accepted although others are missing. */
  #broken: Frame | null = null;
  /** What was let go when the heads were looked at last. */
  #cuts: ReadonlyMap<string, Head> | null = null;
  /** Where the last segment ends, for which there is no next one yet; null: it does not. */
  sealedAt: number | null = null;

  constructor(source: LookAheadSource, start: FoldStart) {
    this.state = start.state;
    this.#source = source;
    this.#stream = start.stream ?? null;
    this.#broken = start.trusted ?? null;
    const { eventsFrom, arePassing = false } = start;
    this.#wanted = { eventsFrom, arePassing };
    this.#scanner = this.#scan();
    this.#passCuts();
  }

  /** Streams go on behind what was let go of them; what is left of one comes after that. */
  #passCuts(): void {
    const { cuts } = this.#source.segments;
    if (cuts === this.#cuts) return;
    this.#cuts = cuts;
    for (const [stream, head] of cuts)
      if (head.revision > this.state.of(stream).revision) this.state.heads.set(stream, head);
  }

  #scan(): LogScanner {
    const from = this.state.position;
    return new LogScanner(this.#source.segments, { from, ...this.#wanted });
  }

  /** All bytes before this place have been looked at, also those that made no frame. */
  get readTo(): number {
    return Math.max(this.#readTo, this.#scanner.readTo);
  }

  /** Judges the next append; null: no further one is whole now. A later call looks again. */
  async next(): Promise<Judged | null> {
    for (;;) {
      const piece = this.#scanner.take() ?? (await this.#scanner.next());
      if (piece === null) {
        // The log, and what witnesses say, may be more by the next look.
        this.#ahead = null;
        return null;
      }
      if (piece._tag === 'append') {
        const judged = await this.#judge(piece.frames);
        if (judged !== null) return judged;
      } else if (piece._tag === 'unreadable') {
        if (!(await this.#passOver(piece))) return null;
      } else if (this.#isInDoubt(piece.position)) {
        // The bytes of an end, or of something later, inside an event.
      } else if (piece._tag === 'later') throw newerLog(piece.format);
      else if (!(await this.#end(piece))) return null;
    }
  }

  /** Nothing that is passing is looked at any more. */
  release(): void {
    this.#scanner.release();
  }

  #isInDoubt(position: number): boolean {
    return position < this.#region.end && !this.#region.counts.has(position);
  }

  async #end(piece: End): Promise<boolean> {
    const hasPassed = await this.#scanner.pass(piece);
    this.sealedAt = hasPassed ? null : piece.end;
    if (hasPassed) this.state.position = piece.end;
    return hasPassed;
  }

  /** False: nothing behind these bytes counts yet, so they may be an append that is being written. */
  async #passOver({ position, end, endsSegment }: Unreadable): Promise<boolean> {
    if (!endsSegment && position >= this.#region.end) {
      const region = await this.#regionFrom(position);
      if (region === null) {
        this.#readTo = this.readTo;
        this.#scanner.release();
        this.#scanner = this.#scan();
        this.#ahead = null;
        return false;
      }
      this.#region = region;
    }
    this.state.addStretch({ position, end });
    if (endsSegment) this.state.position = end;
    return true;
  }

  #aheadFrom(position: number): LookAhead {
    const known = this.#ahead;
    if (known?.covers(position, this.readTo) === true) return known;
    const { heads } = this.state;
    const ahead = new LookAhead(this.#source, { from: position, heads });
    this.#ahead = ahead;
    return ahead;
  }

  /** What counts behind unreadable bytes; null: nothing yet. */
  async #regionFrom(position: number): Promise<Region | null> {
    const ahead = this.#aheadFrom(position);
    const passed: Later[] = [];
    let trusted: Later | null = null;
    for await (const later of ahead.behind(position)) {
      if (later.isTrusted) {
        trusted = later;
        break;
      }
      passed.push(later);
    }
    const counts = new Set<number>();
    let proven: ReadonlySet<number> = counts;
    let end = 0;
    if (passed.some(({ append }) => append !== null)) {
      const proofs = await ahead.proofs();
      ({ proven } = proofs);
      // What follows a record that counts, without a byte between, is where the log's writers write.
      let isInOrder = false;
      for (const later of passed) {
        isInOrder = later.append !== null && (isInOrder || proofs.vouched.has(later.position));
        if (!isInOrder) continue;
        counts.add(later.position);
        ({ end } = later);
      }
    }
    if (trusted !== null) counts.add(trusted.position);
    end = trusted === null ? end : trusted.position + 1;
    return counts.size === 0 ? null : { end, counts, proven };
  }

  /** Appends that are there behind unreadable bytes and count for nothing yet. */
  async undecided(): Promise<readonly Undecided[]> {
    const { position: from, heads } = this.state;
    const found: Undecided[] = [];
    const ahead = new LookAhead(this.#source, { from, heads });
    for await (const { append, position, end } of ahead.behind(from))
      if (append !== null) found.push({ ...append, position, end });
    return found;
  }

  async #judge(frames: readonly Frame[]): Promise<Judged | null> {
    const first = frames[0]!;
    const { end } = frames.at(-1)!;
    this.#passCuts();
    if (this.#isInDoubt(first.position)) return null;
    if (this.#stream !== null && first.stream !== this.#stream) {
      this.state.position = end;
      return null;
    }
    const isAccepted = await this.#isAccepted(frames);
    const damage = isAccepted ? this.#accept(frames) : null;
    this.state.position = end;
    return { frames, isAccepted, damage };
  }

  async #isAccepted(frames: readonly Frame[]): Promise<boolean> {
    const first = frames[0]!;
    const head = this.state.of(first.stream);
    const base = firstRevision(first);
    if (!isWhole(frames)) {
      if (this.#continuesBroken(first, head)) return true;
      if (base <= head.revision) return false;
      const isProven = this.#region.proven.has(first.position);
      const isTrue = isProven || (await this.#verdict(frames)) === 'stands';
      if (isTrue) this.#broken = first;
      return isTrue;
    }
    if (base <= head.revision) return false;
    if (base > head.revision + 1) return true;
    if (!isSameBytes(first.previous, head.hash)) return false;
    const isDoubtful = this.state.stretches.some(
      ({ position, end }) => position >= head.end && end > first.seen && end <= first.position,
    );
    return !isDoubtful || (await this.#verdict(frames)) !== 'void';
  }

  #continuesBroken(first: Frame, head: Head): boolean {
    const broken = this.#broken;
    return (
      broken !== null &&
      broken.stream === first.stream &&
      firstRevision(broken) === firstRevision(first) &&
      broken.count === first.count &&
      first.revision > head.revision &&
      head.position >= broken.position
    );
  }

  #accept(frames: readonly Frame[]): LogDamage | null {
    const first = frames[0]!;
    const last = frames.at(-1)!;
    const head = this.state.of(first.stream);
    this.state.heads.set(first.stream, {
      revision: last.revision,
      hash: last.hash,
      position: last.recordPosition,
      end: last.end,
    });
    if (first.revision === head.revision + 1) return null;
    const stretch = this.state.stretches.find(
      ({ position, end }) => position >= head.end && end <= first.position,
    );
    const { position, end } = stretch ?? { position: head.end, end: first.position };
    return {
      position: BigInt(position),
      lengthBytes: end - position,
      stream: first.stream,
      revisions: [head.revision + 1, first.revision - 1],
      reason: `found revision ${first.revision} of ${first.stream} at byte ${first.position} after revision ${head.revision}, expected ${head.revision + 1}: the records between cannot be read`,
    };
  }

  /**
   * What later records, else the witness, say about frames that follow the head: an append of the
   * next revision bears the chain value of what was accepted, whoever wrote it.
   */
  async #verdict(frames: readonly Frame[]): Promise<'stands' | 'void' | 'open'> {
    const first = frames[0]!;
    const last = frames.at(-1)!;
    const { stream } = first;
    const base = firstRevision(first);
    const end = lastRevision(first);
    const hasLast = last.revision === end;
    const rivals: Uint8Array[] = [];
    const judge = (accepted: Uint8Array): 'stands' | 'void' => {
      if (hasLast) return isSameBytes(accepted, last.hash) ? 'stands' : 'void';
      return rivals.some((rival) => isSameBytes(rival, accepted)) ? 'void' : 'stands';
    };
    const ahead = this.#aheadFrom(last.end);
    for await (const later of ahead.ofStream(stream, last.end)) {
      if (later.first === base && later.isWhole) rivals.push(later.hash);
      if (later.first > base && later.first <= end) return 'void';
      if (later.first === end + 1 && later.index === 0) return judge(later.previous);
      if (later.first > end + 1) break;
    }
    const witness = await this.#source.witnessOf(stream);
    if (witness === null || witness.revision < base) return 'open';
    if (witness.revision < end) return 'void';
    if (witness.revision === end) return judge(witness.hash);
    return 'open';
  }
}
