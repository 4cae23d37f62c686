// What of a log that was judged is handed on together: items of all streams, and events of one.

import type {
  LogChunk,
  LogDamage,
  LogItem,
  StoredEvent,
  StreamRange,
} from '../../../domain/ports/event-log.ts';
import type { Frame } from './frame.ts';
import type { Judged, LogFold } from './log-fold.ts';

/** A chunk of items ends when its events' data reach this size, or at so many items. */
const CHUNK_BYTES = 1024 * 1024;
const CHUNK_ITEMS = 1024;

/** The event of a frame that has one. */
export const storedEvent = (frame: Frame): StoredEvent => ({
  position: BigInt(frame.position),
  stream: frame.stream,
  revision: frame.revision,
  id: frame.event!.id,
  type: frame.event!.type,
  schema: frame.schema,
  timeMs: frame.timeMs,
  data: frame.event!.data,
});

/** Collects items to chunks. */
export class ItemChunk {
  items: LogItem[] = [];
  #sizeBytes = 0;

  get isFull(): boolean {
    return this.#sizeBytes >= CHUNK_BYTES || this.items.length >= CHUNK_ITEMS;
  }

  /** Adds what of a judged append lies in the range. */
  add(judged: Judged, { from, limit }: { readonly from: number; readonly limit: number }): void {
    if (!judged.isAccepted) return;
    if (judged.damage !== null && judged.frames.at(-1)!.end > from) this.addDamage(judged.damage);
    for (const frame of judged.frames) {
      if (frame.position < from || frame.position >= limit) continue;
      this.items.push({ _tag: 'event', event: storedEvent(frame) });
      this.#sizeBytes += frame.end - frame.position;
    }
  }

  addDamage(damage: LogDamage): void {
    this.items.push({ _tag: 'damage', damage });
  }

  /** The chunk, and the place after it: where the fold is, but inside the range. */
  take(
    fold: LogFold,
    { from, limit }: { readonly from: number; readonly limit: number },
  ): LogChunk {
    const { items } = this;
    this.items = [];
    this.#sizeBytes = 0;
    return { items, next: BigInt(Math.max(from, Math.min(limit, fold.state.position))) };
  }
}

/** Collects the events of a range of one stream to chunks. */
export class EventChunk {
  /** The revision that comes next. */
  wanted: number;
  readonly #end: number;
  readonly #fullBytes: number;
  #events: StoredEvent[] = [];
  #sizeBytes = 0;

  constructor({ fromRevision, count, arePassing = false }: StreamRange) {
    this.wanted = fromRevision;
    this.#end = fromRevision + count;
    // What is passing is handed on before more is read: append by append.
    this.#fullBytes = arePassing ? 1 : CHUNK_BYTES;
  }

  get isEmpty(): boolean {
    return this.#events.length === 0;
  }

  get isDone(): boolean {
    return this.wanted >= this.#end;
  }

  get isFull(): boolean {
    return this.#sizeBytes >= this.#fullBytes || (this.isDone && !this.isEmpty);
  }

  add(frames: readonly Frame[]): void {
    for (const frame of frames) {
      if (frame.revision !== this.wanted || this.isDone) continue;
      this.#events.push(storedEvent(frame));
      this.#sizeBytes += frame.end - frame.position;
      this.wanted += 1;
    }
  }

  take(): readonly StoredEvent[] {
    const events = this.#events;
    this.#events = [];
    this.#sizeBytes = 0;
    return events;
  }
}
