// What comes behind a place of the log, looked at once and kept without the events: for what the
// records before cannot tell. Behind an unreadable stretch anything may be what somebody wrote inside
// an event, so nothing is believed there until something that no writer of content can have made: an
// append that bears the chain value of its stream's head, or a record that says where it stands.

import { addTo } from '../../../domain/values/grouped.ts';
import { LogScanner, type LogPiece, type ScannedSegments } from './log-scanner.ts';
import { firstRevision, isWhole, lastRevision } from './frame.ts';
import { isSameBytes } from './layout.ts';
import type { Head } from './stream-heads.ts';

/** An append, or what is left of one. */
export interface LaterAppend {
  readonly stream: string;
  readonly first: number;
  readonly last: number;
  readonly index: number;
  readonly isWhole: boolean;
  readonly previous: Uint8Array;
  readonly hash: Uint8Array;
}

/** Something behind the place. */
export interface Later {
  readonly position: number;
  readonly end: number;
  /** Null: unreadable, or a segment's end. */
  readonly append: LaterAppend | null;
  /** Whether it stands where only the log's writers write. */
  readonly isTrusted: boolean;
}

/** Positions of appends, or of what is left of one. */
export interface Proofs {
  /** A stream's witness speaks of it, or an append that is vouched for builds on it. */
  readonly proven: ReadonlySet<number>;
  /** Proven, or trusted where it stands. */
  readonly vouched: ReadonlySet<number>;
}

/** What a stream's witness says, as a head; null: nothing. */
export type WitnessOf = (stream: string) => Promise<Head | null>;

export interface LookAheadSource {
  readonly segments: ScannedSegments;
  readonly witnessOf: WitnessOf;
}

type Known = Pick<Head, 'revision' | 'hash'>;

const keyOf = (stream: string, hash: Uint8Array): string =>
  `${Buffer.from(hash).toString('latin1')}${stream}`;

/** Looks ahead from a place on. Not for concurrent use. */
export class LookAhead {
  readonly from: number;
  readonly #source: LookAheadSource;
  readonly #scanner: LogScanner;
  readonly #known: Map<string, Known>;
  readonly #found: Later[] = [];
  readonly #byStream = new Map<string, Later[]>();
  #isDoubtful = false;
  /** Behind the end of the last segment. */
  #isAtEnd = false;
  /** The log's end when it was come upon; null: not yet. */
  #doneAt: number | null = null;
  #proofs: Proofs | null = null;

  constructor(
    source: LookAheadSource,
    { from, heads }: { readonly from: number; readonly heads: ReadonlyMap<string, Known> },
  ) {
    this.from = from;
    this.#source = source;
    this.#known = new Map(heads);
    this.#scanner = new LogScanner(source.segments, {
      from,
      eventsFrom: Number.MAX_SAFE_INTEGER,
    });
  }

  /** Whether this can tell of a position to one who has read up to `readTo`. */
  covers(position: number, readTo: number): boolean {
    if (position < this.from || position > (this.#found.at(-1)?.end ?? this.from)) return false;
    return this.#doneAt === null || readTo <= this.#doneAt;
  }

  /** What lies at or behind a position, in order. */
  async *behind(position: number): AsyncGenerator<Later> {
    for (let i = this.#firstAt(position); i < this.#found.length || (await this.#extend()); i += 1)
      yield this.#found[i]!;
  }

  /** Appends of one stream, at or behind a position, that are trusted or proven. */
  async *ofStream(stream: string, position: number): AsyncGenerator<LaterAppend> {
    for (let i = 0; ;) {
      const found = this.#byStream.get(stream);
      for (; i < (found?.length ?? 0); i += 1) {
        const { append, isTrusted, position: at } = found![i]!;
        if (at < position) continue;
        if (isTrusted || (await this.proofs()).proven.has(at)) yield append!;
      }
      if (!(await this.#extend())) return;
    }
  }

  #firstAt(position: number): number {
    let [low, high] = [0, this.#found.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#found[middle]!.position < position) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  async #extend(): Promise<boolean> {
    if (this.#doneAt !== null) return false;
    const piece = this.#isAtEnd ? null : (this.#scanner.take() ?? (await this.#scanner.next()));
    const later = piece === null ? null : await this.#laterOf(piece);
    if (later === null) {
      this.#doneAt = this.#scanner.readTo;
      return false;
    }
    this.#found.push(later);
    if (later.append === null) return true;
    addTo(this.#byStream, later.append.stream, later);
    return true;
  }

  async #laterOf(piece: LogPiece): Promise<Later | null> {
    if (piece._tag === 'append') return this.#appendOf(piece.frames);
    const { position, end } = piece;
    if (piece._tag === 'unreadable') {
      this.#isDoubtful = !piece.endsSegment;
      return { position, end, append: null, isTrusted: false };
    }
    if (piece._tag === 'end' && piece.isPlaced) this.#isDoubtful = false;
    const isTrusted = !this.#isDoubtful;
    if (isTrusted && piece._tag === 'later') return null;
    if (isTrusted && piece._tag === 'end') this.#isAtEnd = !(await this.#scanner.pass(piece));
    return { position, end, append: null, isTrusted };
  }

  #appendOf(frames: Extract<LogPiece, { _tag: 'append' }>['frames']): Later {
    const first = frames[0]!;
    const last = frames.at(-1)!;
    const append = {
      stream: first.stream,
      first: firstRevision(first),
      last: lastRevision(first),
      index: first.index,
      isWhole: isWhole(frames),
      previous: first.previous,
      hash: last.hash,
    };
    const known = this.#known.get(append.stream);
    const follows =
      known !== undefined &&
      append.first === known.revision + 1 &&
      isSameBytes(append.previous, known.hash);
    if (first.isPlaced || (follows && first.index === 0)) this.#isDoubtful = false;
    const isNews = known === undefined || follows || append.first > known.revision + 1;
    if (!this.#isDoubtful && append.isWhole && isNews)
      this.#known.set(append.stream, { revision: append.last, hash: append.hash });
    const { position } = first;
    return { position, end: last.end, append, isTrusted: !this.#isDoubtful };
  }

  /** What is vouched for, up to the log's end. */
  async proofs(): Promise<Proofs> {
    while (await this.#extend());
    if (this.#proofs !== null) return this.#proofs;
    const witnesses = new Map<string, Head | null>();
    const builtOn = new Set<string>();
    const proven = new Set<number>();
    const vouched = new Set<number>();
    for (const { position, append, isTrusted } of this.#found.toReversed()) {
      if (append === null) continue;
      const { stream, hash, previous } = append;
      if (!witnesses.has(stream)) witnesses.set(stream, await this.#source.witnessOf(stream));
      const witness = witnesses.get(stream) ?? null;
      const isWitnessed = witness !== null && isSameBytes(witness.hash, hash);
      if (isWitnessed || builtOn.has(keyOf(stream, hash))) proven.add(position);
      if (!isTrusted && !proven.has(position)) continue;
      vouched.add(position);
      builtOn.add(keyOf(stream, previous));
    }
    this.#proofs = { proven, vouched };
    return this.#proofs;
  }
}
