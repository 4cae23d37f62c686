// The fold of a log file that decides which records stand: the same in every process, since it looks
// at nothing but the records (docs/format.md, "Event log"). Per stream one sequence is accepted:
//
// - an append counts when all its frames are there, back to back; what a crash cut off is void;
// - it is accepted if its first revision follows the stream's head and its chain value is the
//   head's; an append of a revision that is taken already lost a race: void;
// - a first revision beyond head + 1 proves that records between were written and are missing, for
//   writers build only on what was accepted: damage, and then the append is accepted.
//
// Two cases cannot be told from what came before: frames of an append of which some are missing (cut
// off, or damaged?), and an append whose writer had not yet seen bytes that are unreadable now (did
// they hold the winner of a race?). There the records that follow decide, then the witness.

import type { LogDamage } from '../../../domain/ports/event-log.ts';
import type { LogFile } from '../../files/guarded-file.ts';
import { FrameScanner, type Frame, type Piece } from './frame-scanner.ts';
import { isSameBytes } from './layout.ts';
import type { Head, StreamHeads } from './stream-heads.ts';

/** What became of one append, or of the frames of one that are left. */
export interface Judged {
  readonly frames: readonly Frame[];
  readonly isAccepted: boolean;
  /** Records that are missing before `frames`. */
  readonly damage: LogDamage | null;
}

/** What a stream's witness says, as a head; null: nothing. */
export type WitnessOf = (stream: string) => Promise<Head | null>;

export interface FoldSource {
  readonly file: Pick<LogFile, 'read'>;
  readonly witnessOf: WitnessOf;
}

export interface FoldStart {
  /** Heads at the place to start from. The fold owns them. */
  readonly state: StreamHeads;
  /** Frames before this place come without their events. */
  readonly eventsFrom: number;
  /** Judge this stream only, and pass over others. */
  readonly stream?: string;
  /** A frame in the middle of an append that is known to be accepted: the rest of it is, too. */
  readonly trusted?: Frame;
}

const firstRevision = (frame: Frame): number => frame.revision - frame.index;
const lastRevision = (frame: Frame): number => firstRevision(frame) + frame.count - 1;
/** The place after a frame. */
export const endOf = (frame: Frame): number => frame.position + frame.lengthBytes;

const continues = (frame: Frame, before: Frame): boolean =>
  frame.position === endOf(before) &&
  frame.index === before.index + 1 &&
  frame.count === before.count &&
  frame.revision === before.revision + 1 &&
  frame.stream === before.stream &&
  isSameBytes(frame.previous, before.hash);

/** Gathers frames to appends. */
class AppendReader {
  readonly #scanner: FrameScanner;
  #gathered: Frame[] = [];
  #held: Piece | null = null;

  constructor(scanner: FrameScanner) {
    this.#scanner = scanner;
  }

  /** The next append, whole or what is left of it, or bytes that are unreadable; null: no more now. */
  async next(): Promise<readonly Frame[] | Exclude<Piece, Frame> | null> {
    for (;;) {
      const piece = this.#held ?? this.#scanner.take() ?? (await this.#scanner.next());
      this.#held = null;
      if (piece === null) return null;
      const before = this.#gathered.at(-1);
      if (piece._tag === 'unreadable' || (before !== undefined && !continues(piece, before))) {
        if (before === undefined && piece._tag === 'unreadable') return piece;
        this.#held = piece;
        return this.#drain();
      }
      this.#gathered.push(piece);
      if (piece.index === piece.count - 1) return this.#drain();
    }
  }

  #drain(): readonly Frame[] {
    const frames = this.#gathered;
    this.#gathered = [];
    return frames;
  }
}

const isWhole = (frames: readonly Frame[]): boolean =>
  frames[0]!.index === 0 && frames.length === frames[0]!.count;

/** Folds a file from `state` on. Owns `state`. Not for concurrent use. */
export class LogFold {
  readonly state: StreamHeads;
  readonly #source: FoldSource;
  /** Null: all. */
  readonly #stream: string | null;
  readonly #scanner: FrameScanner;
  readonly #appends: AppendReader;
  /** The append of which some frames were accepted although others are missing. */
  #broken: Frame | null = null;

  constructor(source: FoldSource, start: FoldStart) {
    this.state = start.state;
    this.#source = source;
    this.#stream = start.stream ?? null;
    this.#broken = start.trusted ?? null;
    const from = start.state.position;
    this.#scanner = new FrameScanner(source.file, { from, eventsFrom: start.eventsFrom });
    this.#appends = new AppendReader(this.#scanner);
  }

  /** All bytes before this place have been looked at, also those that made no frame. */
  get readTo(): number {
    return this.#scanner.readTo;
  }

  /** Judges the next append; null: no further one is whole now. A later call looks again. */
  async next(): Promise<Judged | null> {
    for (;;) {
      const found = await this.#appends.next();
      if (found === null) return null;
      if ('_tag' in found) {
        const end = found.position + found.lengthBytes;
        this.state.addStretch({ position: found.position, end });
        this.state.position = end;
        continue;
      }
      if (this.#stream !== null && found[0]!.stream !== this.#stream) {
        this.state.position = endOf(found.at(-1)!);
        continue;
      }
      const isAccepted = await this.#isAccepted(found);
      const damage = isAccepted ? this.#accept(found) : null;
      this.state.position = endOf(found.at(-1)!);
      return { frames: found, isAccepted, damage };
    }
  }

  async #isAccepted(frames: readonly Frame[]): Promise<boolean> {
    const first = frames[0]!;
    const head = this.state.of(first.stream);
    const base = firstRevision(first);
    if (!isWhole(frames)) {
      if (this.#continuesBroken(first, head)) return true;
      if (base <= head.revision) return false;
      const isTrue = (await this.#verdict(frames)) === 'stands';
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
      position: last.position,
      end: endOf(last),
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
    const scanner = new FrameScanner(this.#source.file, {
      from: endOf(last),
      eventsFrom: Number.MAX_SAFE_INTEGER,
    });
    const ahead = new AppendReader(scanner);
    for (let found = await ahead.next(); found !== null; found = await ahead.next()) {
      if ('_tag' in found || found[0]!.stream !== stream) continue;
      const later = found[0]!;
      const laterBase = firstRevision(later);
      if (laterBase === base && isWhole(found)) rivals.push(found.at(-1)!.hash);
      if (laterBase > base && laterBase <= end) return 'void';
      if (laterBase === end + 1 && later.index === 0) return judge(later.previous);
      if (laterBase > end + 1) break;
    }
    const witness = await this.#source.witnessOf(stream);
    if (witness === null || witness.revision < base) return 'open';
    if (witness.revision < end) return 'void';
    if (witness.revision === end) return judge(witness.hash);
    return 'open';
  }
}
