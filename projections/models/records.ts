// Records of fixed width of which there may be very many: the first ones where a state has them, and
// those that came since behind them. None is an object: who asks for one is told where it lies.

import type { StateBytes } from '../../domain/ports/derived-files.ts';
import { GrowingBytes, NO_STATE } from './kept-bytes.ts';
import { StateUnfit, type StateReader, type StateWriter } from './state-bytes.ts';

/** Bytes of records that are read at once, where one after the other is asked for. */
const NEAR_BYTES = 16 * 1024;

/** Records from the number of one on to before another's, where they lie. */
interface NearRecords {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly first: number;
  readonly end: number;
}

function near(bytes: Uint8Array, first: number, end: number): NearRecords {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { bytes, view, first, end };
}

const NONE_NEAR = near(new Uint8Array(0), 0, 0);

export class Records {
  readonly #width: number;
  #kept: StateBytes = NO_STATE;
  #keptCount = 0;
  readonly #added: GrowingBytes;
  length = 0;
  /** Where those lie that were asked for last. */
  #near = NONE_NEAR;
  /** Where records are read to that are not in memory. */
  #buffer: Uint8Array | null = null;

  /** Records of so many bytes each. */
  constructor(width: number) {
    this.#width = width;
    this.#added = new GrowingBytes(width * Math.ceil((64 * 1024) / width));
  }

  /** Makes sure that a record lies near, and gives its place there. */
  #find(index: number): number {
    if (index < this.#near.first || index >= this.#near.end) this.#approach(index);
    return (index - this.#near.first) * this.#width;
  }

  #approach(index: number): void {
    const width = this.#width;
    if (index >= this.#keptCount) {
      const added = index - this.#keptCount;
      const { bytes, at } = this.#added.chunkAt(added * width);
      const first = index - at / width;
      this.#near = near(bytes, first, Math.min(first + bytes.length / width, this.length));
      return;
    }
    if (this.#kept.memory !== null) {
      this.#near = near(this.#kept.memory, 0, this.#keptCount);
      return;
    }
    const isNext = index === this.#near.end;
    const most = isNext ? Math.max(1, Math.floor(NEAR_BYTES / width)) : 1;
    const count = Math.min(most, this.#keptCount - index);
    this.#buffer ??= new Uint8Array(Math.max(NEAR_BYTES, width));
    const bytes = this.#buffer.subarray(0, count * width);
    this.#kept.copy(index * width, bytes);
    this.#near = near(bytes, index, index + count);
  }

  u32(index: number, at: number): number {
    const from = this.#find(index);
    return this.#near.view.getUint32(from + at, true);
  }

  u64(index: number, at: number): bigint {
    const from = this.#find(index);
    return this.#near.view.getBigUint64(from + at, true);
  }

  i64(index: number, at: number): bigint {
    const from = this.#find(index);
    return this.#near.view.getBigInt64(from + at, true);
  }

  f64(index: number, at: number): number {
    const from = this.#find(index);
    return this.#near.view.getFloat64(from + at, true);
  }

  /** So many bytes of a record, from a place in it on; valid until another is asked for. */
  bytes(index: number, at: number, count: number): Uint8Array {
    const from = this.#find(index) + at;
    return this.#near.bytes.subarray(from, from + count);
  }

  /** Adds a record. */
  push(record: Uint8Array): void {
    // What is near may be a chunk that moves as it grows.
    if (this.#near.end > this.#keptCount) this.#near = NONE_NEAR;
    this.#added.append(record);
    this.length += 1;
  }

  /** Writes all, as a column. */
  save(writer: StateWriter): void {
    writer
      .u32(this.length * this.#width)
      .kept(this.#kept)
      .kept(this.#added);
  }

  /** What `save` wrote, where it lies. StateUnfit where a record is cut off. */
  static load(reader: StateReader, width: number): Records {
    const records = new Records(width);
    records.#kept = reader.kept();
    records.length = records.#kept.length / width;
    if (!Number.isInteger(records.length)) throw new StateUnfit('records are cut off');
    records.#keptCount = records.length;
    return records;
  }
}
