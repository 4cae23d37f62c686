// What the double stores: a log of records at byte positions, the streams over it, and the rule by
// which an append is taken, recognised as a repetition, or refused. It outlives the servers that
// serve it, as a disk does. Invariants: positions ascend; a stream's revisions have no gap; the
// events of one append are neighbours; a listener hears of a record only after it is stored.

import { randomUUID } from 'node:crypto';
import { assert } from '../../../domain/values/assert.ts';
import {
  EPOCH_RECORDS_BYTES,
  FIRST_EVENT,
  RECORD_OVERHEAD_BYTES,
  SOFT_DELETED_BEFORE,
  TOMBSTONE_REVISION,
} from './server-behaviour.ts';

export type ContentType = 'application/json' | 'application/octet-stream';

/** An event as a client proposes it. */
export interface ProposedEvent {
  readonly id: string;
  readonly type: string;
  readonly contentType: ContentType;
  readonly data: Uint8Array;
  readonly metadata: Uint8Array;
}

/** An event as it is stored; commit and prepare position are the same number. */
export interface DoubleRecord extends ProposedEvent {
  readonly position: bigint;
  readonly stream: string;
  readonly revision: bigint;
  /** 100 ns since 1970. */
  readonly createdTicks: bigint;
}

export type ExpectedRevision = bigint | 'any' | 'no_stream' | 'stream_exists';

export type AppendOutcome =
  | {
      readonly _tag: 'stored';
      /** The stream's last revision of this append; null: an empty append to no stream. */
      readonly revision: bigint | null;
      /** Null where the server knows none: a repetition whose events can no longer be read. */
      readonly position: bigint | null;
      readonly repeated: boolean;
    }
  | { readonly _tag: 'conflict'; readonly current: bigint | null }
  | { readonly _tag: 'deleted' };

/** What `$$stream` says of a stream. */
interface StreamLimits {
  readonly truncateBefore: bigint;
  readonly countMax: bigint | null;
}

/** Why a stream cannot be read, or its readable records in order. */
export type StreamView =
  | { readonly _tag: 'missing' }
  | { readonly _tag: 'deleted' }
  | { readonly _tag: 'records'; readonly records: readonly DoubleRecord[] };

/** A record to be planted as if another client had written it. */
export interface ForeignRecord {
  readonly stream: string;
  readonly type?: string;
  readonly data?: Uint8Array | string;
  readonly metadata?: Uint8Array | string;
  readonly contentType?: ContentType;
}

const NO_BYTES = new Uint8Array(0);
const TICKS_PER_MS = 10_000n;
const encoder = new TextEncoder();
const bytesOf = (given: Uint8Array | string | undefined): Uint8Array =>
  typeof given === 'string' ? encoder.encode(given) : (given ?? NO_BYTES);

/** The log and its streams. `startPosition` is where the first record lies: beyond 2^53, say. */
export class DoubleRecords {
  /** Every event that $all shows, in order. */
  readonly all: DoubleRecord[] = [];
  private readonly streams = new Map<string, DoubleRecord[]>();
  /** Where records start that $all does not show; reading may start there too. */
  private readonly hidden = new Set<bigint>();
  /** Ids of this server's life: what makes a repetition with `any` recognisable. */
  private recentIds = new Map<string, { readonly stream: string; readonly revision: bigint }>();
  private readonly listeners = new Set<() => void>();
  private end: bigint;
  private lastStart: bigint;

  constructor(options: { readonly startPosition?: bigint } = {}) {
    this.end = options.startPosition ?? 0n;
    this.lastStart = this.end;
  }

  /** Where the next record will lie. */
  get endPosition(): bigint {
    return this.end;
  }

  /** Where the last record lies, shown or not. */
  get lastPosition(): bigint {
    return this.lastStart;
  }

  /** Makes a copy of all there is; what it gives puts that back, with no server on the records. */
  backUp(): () => void {
    const { end, lastStart } = this;
    const all = [...this.all];
    const streams = [...this.streams].map(([name, records]) => [name, [...records]] as const);
    const hidden = [...this.hidden];
    return () => {
      this.all.splice(0, Number.POSITIVE_INFINITY, ...all);
      this.streams.clear();
      for (const [name, records] of streams) this.streams.set(name, [...records]);
      this.hidden.clear();
      for (const position of hidden) this.hidden.add(position);
      Object.assign(this, { end, lastStart });
    };
  }

  /** A server has started on these records: a new epoch, and what was only in memory is lost. */
  beginEpoch(): void {
    this.recentIds = new Map();
    const isNew = this.all.length === 0 && this.hidden.size === 0;
    for (const lengthBytes of EPOCH_RECORDS_BYTES) this.addHidden(lengthBytes);
    if (!isNew) return;
    const { data, ...first } = FIRST_EVENT;
    this.addForeign({ ...first, contentType: 'application/json', data: JSON.stringify(data) });
  }

  /** A record that no reader is shown and that moves the positions of all after it. */
  addHidden(lengthBytes: number): bigint {
    const position = this.end;
    this.hidden.add(position);
    this.lastStart = position;
    this.end += BigInt(lengthBytes);
    return position;
  }

  /** The stored events, or those of one stream, hidden by no truncation. */
  list(stream?: string): readonly DoubleRecord[] {
    return stream === undefined ? this.all : (this.streams.get(stream) ?? []);
  }

  /** Plants events of another client, whatever the stream's revision. */
  addForeign(...records: readonly ForeignRecord[]): readonly DoubleRecord[] {
    const added = records.map((record) =>
      this.store(record.stream, {
        id: randomUUID(),
        type: record.type ?? 'SomethingForeign',
        contentType: record.contentType ?? 'application/octet-stream',
        data: bytesOf(record.data),
        metadata: bytesOf(record.metadata),
      }),
    );
    this.tell();
    return added;
  }

  /** Tidies up as a scavenge does: $all does not show any more what `$tb` has hidden in streams. */
  scavenge(): void {
    const kept = this.all.filter(
      ({ stream, revision }) => revision >= this.limitsOf(stream).truncateBefore,
    );
    this.all.splice(0, Number.POSITIVE_INFINITY, ...kept);
  }

  /** Writes `$$stream`, as a client's setStreamMetadata does. */
  setStreamMetadata(stream: string, metadata: Readonly<Record<string, unknown>>): DoubleRecord {
    return this.addForeign({
      stream: `$$${stream}`,
      type: '$metadata',
      contentType: 'application/json',
      data: JSON.stringify(metadata),
    })[0]!;
  }

  /** Deletes a stream so that it can be written again; its revisions go on. */
  softDelete(stream: string): DoubleRecord {
    return this.setStreamMetadata(stream, { $tb: Number(SOFT_DELETED_BEFORE) });
  }

  /** Deletes a stream for ever. */
  tombstone(stream: string): DoubleRecord {
    const record = this.store(
      stream,
      {
        id: randomUUID(),
        type: '$streamDeleted',
        contentType: 'application/octet-stream',
        data: NO_BYTES,
        metadata: NO_BYTES,
      },
      TOMBSTONE_REVISION,
    );
    this.tell();
    return record;
  }

  /** Takes, recognises or refuses an append. Nothing is stored unless the whole of it is. */
  append(request: {
    readonly stream: string;
    readonly expected: ExpectedRevision;
    readonly events: readonly ProposedEvent[];
  }): AppendOutcome {
    const { stream, expected, events } = request;
    const current = this.currentRevision(stream);
    if (current === TOMBSTONE_REVISION) return { _tag: 'deleted' };
    if (expected === 'stream_exists' && this.isSoftDeleted(stream)) return { _tag: 'deleted' };
    const conflict: AppendOutcome = { _tag: 'conflict', current: current < 0n ? null : current };
    const verdict =
      typeof expected === 'bigint' || expected === 'no_stream'
        ? this.judgeExact(stream, expected === 'no_stream' ? -1n : expected, events)
        : this.judgeLoose(stream, expected, events);
    if (verdict === 'conflict') return conflict;
    if (verdict !== 'new') return this.repetition(stream, verdict);
    if (events.length === 0) return this.storeNothing(stream, current);
    const undelete = this.isSoftDeleted(stream);
    let last: DoubleRecord | null = null;
    for (const event of events) {
      last = this.store(stream, event);
      this.recentIds.set(event.id, { stream, revision: last.revision });
    }
    if (undelete) this.setStreamMetadata(stream, { $tb: Number(current + 1n) });
    this.tell();
    assert(last !== null, 'an append with events has a last one');
    return { _tag: 'stored', revision: last.revision, position: last.position, repeated: false };
  }

  /** A stream as a reader may see it: without what was deleted or truncated. */
  view(stream: string): StreamView {
    const records = this.streams.get(stream) ?? [];
    const current = this.currentRevision(stream);
    if (current === TOMBSTONE_REVISION) return { _tag: 'deleted' };
    if (records.length === 0 || this.isSoftDeleted(stream)) return { _tag: 'missing' };
    const limits = this.limitsOf(stream);
    const fewest = limits.countMax === null ? 0n : current - limits.countMax + 1n;
    const first = limits.truncateBefore > fewest ? limits.truncateBefore : fewest;
    return {
      _tag: 'records',
      records: first <= 0n ? records : records.filter(({ revision }) => revision >= first),
    };
  }

  /** The revision of a stream's last event, or -1. */
  currentRevision(stream: string): bigint {
    return this.streams.get(stream)?.at(-1)?.revision ?? -1n;
  }

  /** Index in `all` of the first record at or after a position. */
  indexAt(position: bigint): number {
    let low = 0;
    let high = this.all.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.all[middle]!.position < position) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Whether a record, shown or not, lies at exactly this position. */
  isRecord(position: bigint): boolean {
    return this.hidden.has(position) || this.all[this.indexAt(position)]?.position === position;
  }

  /** Calls `listener` after every change until the returned function is called. */
  listen(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  private tell(): void {
    for (const listener of this.listeners) listener();
  }

  private store(stream: string, event: ProposedEvent, revision?: bigint): DoubleRecord {
    const record: DoubleRecord = {
      ...event,
      stream,
      position: this.end,
      revision: revision ?? this.currentRevision(stream) + 1n,
      createdTicks: BigInt(Date.now()) * TICKS_PER_MS,
    };
    this.lastStart = record.position;
    this.end += BigInt(sizeOnDiskBytes(record));
    this.all.push(record);
    const records = this.streams.get(stream);
    if (records === undefined) this.streams.set(stream, [record]);
    else records.push(record);
    return record;
  }

  /** An append without events is a record without data, of no type. */
  private storeNothing(stream: string, current: bigint): AppendOutcome {
    const record = { stream, type: '', data: NO_BYTES, metadata: NO_BYTES };
    const position = this.addHidden(sizeOnDiskBytes(record));
    const revision = current < 0n ? null : current;
    return { _tag: 'stored', revision, position, repeated: false };
  }

  /** The last revision of an append that was stored before, whose ids lie just after `expected`. */
  private judgeExact(
    stream: string,
    expected: bigint,
    events: readonly ProposedEvent[],
  ): 'new' | 'conflict' | bigint {
    const current = this.currentRevision(stream);
    if (expected === current) return 'new';
    if (expected > current) return 'conflict';
    const records = this.streams.get(stream)!;
    for (const [i, event] of events.entries()) {
      // Ids only are compared, not data.
      if (records[Number(expected) + 1 + i]?.id === event.id) continue;
      const mayRecreate = i === 0 && expected === -1n && this.isSoftDeleted(stream);
      return mayRecreate ? 'new' : 'conflict';
    }
    return events.length === 0 ? 'conflict' : expected + BigInt(events.length);
  }

  /** The same for `any` and `stream_exists`, where only this server's memory recognises. */
  private judgeLoose(
    stream: string,
    expected: 'any' | 'stream_exists',
    events: readonly ProposedEvent[],
  ): 'new' | 'conflict' | bigint {
    if (expected === 'stream_exists' && !this.streams.has(stream))
      return this.streams.has(`$$${stream}`) ? 'new' : 'conflict';
    let last: bigint | null = null;
    for (const [i, event] of events.entries()) {
      const known = this.recentIds.get(event.id);
      if (known?.stream !== stream) return i === 0 ? 'new' : 'conflict';
      last = known.revision;
    }
    return last ?? 'new';
  }

  private repetition(stream: string, revision: bigint): AppendOutcome {
    const view = this.view(stream);
    const record =
      view._tag === 'records'
        ? view.records.find((candidate) => candidate.revision === revision)
        : undefined;
    return { _tag: 'stored', revision, position: record?.position ?? null, repeated: true };
  }

  private isSoftDeleted(stream: string): boolean {
    // The number passes through JSON, where the largest revision is rounded up.
    return this.limitsOf(stream).truncateBefore >= SOFT_DELETED_BEFORE;
  }

  private limitsOf(stream: string): StreamLimits {
    const last = this.streams.get(`$$${stream}`)?.at(-1);
    if (last === undefined) return { truncateBefore: 0n, countMax: null };
    const metadata = parseObject(last.data);
    const { $tb: before, $maxCount: count } = metadata;
    return {
      truncateBefore: typeof before === 'number' ? BigInt(before) : 0n,
      countMax: typeof count === 'number' ? BigInt(count) : null,
    };
  }
}

const parseObject = (
  bytes: Uint8Array,
): { readonly $tb?: unknown; readonly $maxCount?: unknown } => {
  try {
    const parsed: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return typeof parsed === 'object' && parsed !== null ? parsed : {};
  } catch {
    // The server too takes metadata that it cannot parse for none.
    return {};
  }
};

const sizeOnDiskBytes = (
  record: Pick<DoubleRecord, 'stream' | 'type' | 'data' | 'metadata'>,
): number =>
  RECORD_OVERHEAD_BYTES +
  prefixedBytes(record.stream) +
  prefixedBytes(record.type) +
  record.data.length +
  record.metadata.length;

const prefixedBytes = (text: string): number => {
  const lengthBytes = Buffer.byteLength(text);
  return lengthBytes + (lengthBytes < 128 ? 1 : 2);
};
