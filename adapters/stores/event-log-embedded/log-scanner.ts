// Finds what stands in a log from a position on, through all its segments, and gathers the frames of
// format 1 to appends. What comes behind an unreadable stretch is handed out as it is: whether it is
// believed is for the fold to say (log-fold.ts).

import type { EventsWanted, Frame } from './frame.ts';
import {
  FrameScanner,
  type End,
  type Later,
  type FramePiece,
  type Unreadable,
} from './frame-scanner.ts';
import { isSameBytes } from './layout.ts';
import type { PositionedBytes } from './passing-reads.ts';
import type { Opened, Segment } from './segment-files.ts';
import type { Head } from './stream-heads.ts';

/** What a scanner needs of a log's segments. */
export interface ScannedSegments extends PositionedBytes {
  readonly last: Segment | null;
  refresh(): Promise<void>;
  /** By stream: its last record that was let go. */
  readonly cuts: ReadonlyMap<string, Head>;
  at(position: number): Segment | null;
  after(segment: Segment): Segment | null;
  endOf(segment: Segment): number;
  opened(segment: Segment): Promise<Opened>;
}

/** An append, whole, or the frames that are left of it. */
export interface Append {
  readonly _tag: 'append';
  readonly frames: readonly Frame[];
}

export type LogPiece = Append | Unreadable | End | Later;

const continues = (frame: Frame, before: Frame): boolean =>
  frame.position === before.end &&
  frame.index === before.index + 1 &&
  frame.count === before.count &&
  frame.revision === before.revision + 1 &&
  frame.stream === before.stream &&
  isSameBytes(frame.previous, before.hash);

/** Reads one piece after another. Not for concurrent use. */
export class LogScanner {
  readonly #segments: ScannedSegments;
  readonly #wanted: EventsWanted;
  #from: number;
  #segment: Segment | null = null;
  #scanner: FrameScanner | null = null;
  #gathered: Frame[] = [];
  #held: FramePiece | null = null;
  /** Whether the segments were looked at since something unreadable was met at their end. */
  #hasLooked = false;

  constructor(
    segments: ScannedSegments,
    { from, ...wanted }: { readonly from: number } & EventsWanted,
  ) {
    this.#segments = segments;
    this.#from = from;
    this.#wanted = wanted;
  }

  /** All bytes before this place have been looked at. */
  get readTo(): number {
    return this.#scanner?.readTo ?? this.#from;
  }

  /** What a call without waiting finds; null: `next` may find more. */
  take(): LogPiece | null {
    for (;;) {
      const piece = this.#held ?? this.#scanner?.take() ?? null;
      this.#held = null;
      if (piece === null) return null;
      const gathered = this.#gather(piece);
      if (gathered !== null) return gathered;
    }
  }

  /** The next piece, or null: nothing further now (a later call looks again). */
  async next(): Promise<LogPiece | null> {
    for (;;) {
      const taken = this.take();
      if (taken !== null) return taken;
      if (this.#scanner === null ? await this.#begin() : await this.#scanner.fill()) continue;
      const passed = await this.#goOn();
      if (passed === 'nothing') return null;
      if (passed !== 'next') return passed;
    }
  }

  /** Null: the frames of an append are gathered that is not whole yet. */
  #gather(piece: FramePiece): LogPiece | null {
    const before = this.#gathered.at(-1);
    if (piece._tag !== 'frames') {
      if (before === undefined) return piece;
      this.#held = piece;
      return this.#drain();
    }
    const { frames } = piece;
    if (before !== undefined && !continues(frames[0]!, before)) {
      this.#held = piece;
      return this.#drain();
    }
    this.#gathered.push(...frames);
    const last = frames.at(-1)!;
    return last.index === last.count - 1 ? this.#drain() : null;
  }

  #drain(): Append {
    const frames = this.#gathered;
    this.#gathered = [];
    return { _tag: 'append', frames };
  }

  async #begin(): Promise<boolean> {
    if (this.#segments.last === null) await this.#segments.refresh();
    const segment = this.#segments.at(this.#from);
    if (segment === null) return false;
    await this.#enter(segment);
    return true;
  }

  async #enter(segment: Segment): Promise<void> {
    const { format } = await this.#segments.opened(segment);
    this.#segment = segment;
    this.release();
    const startBytes = segment.stretch === null ? format.startBytes : 0;
    const from = Math.max(this.#from, segment.start + startBytes);
    this.#scanner = new FrameScanner(this.#segments, {
      from,
      format,
      ...this.#wanted,
    });
  }

  /** At a segment's end: goes to the next, if there is one; what is left before it is unreadable. */
  async #goOn(): Promise<'nothing' | 'next' | LogPiece> {
    const segment = this.#segment;
    const scanner = this.#scanner;
    if (segment === null || scanner === null) return 'nothing';
    if (this.#segments.after(segment) === null && this.#isDirty(scanner)) {
      this.#hasLooked = true;
      await this.#segments.refresh();
    }
    const after = this.#segments.after(segment);
    if (after === null) return 'nothing';
    if (this.#gathered.length > 0) return this.#drain();
    const { position } = scanner;
    const end = this.#segments.endOf(segment);
    this.#from = after.start;
    await this.#enter(after);
    return position < end ? { _tag: 'unreadable', position, end, endsSegment: true } : 'next';
  }

  #isDirty(scanner: FrameScanner): boolean {
    return !this.#hasLooked && scanner.readTo > scanner.position;
  }

  /** Nothing that is passing is looked at any more; another piece may be asked for. */
  release(): void {
    this.#scanner?.release();
  }

  /** Behind a segment's end that counts: true where the next segment is there. */
  async pass(end: End): Promise<boolean> {
    const segment = this.#segment;
    if (segment === null) return false;
    if (this.#segments.after(segment) === null) await this.#segments.refresh();
    const after = this.#segments.after(segment);
    if (after === null) {
      // Nothing behind it counts: it is come upon again until the next segment is there.
      this.#held = end;
      return false;
    }
    if (end.end === this.#segments.endOf(segment)) {
      this.#from = after.start;
      await this.#enter(after);
    }
    return true;
  }
}
