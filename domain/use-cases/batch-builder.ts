// Gathers a capture's page events into batches. A batch is handed on once every pack it refers to is
// durable and named, so memory does not grow with the capture.

import { assert } from '../assert.ts';
import { encodePageColumns, fitsEvent, hasReference } from '../page-columns.ts';
import { BATCH_ROWS_MAX, PACK_PAGES_MAX } from '../page.ts';
import type { ContentPlace } from '../read-models.ts';

/** A row of a batch before its packs have names. */
export interface PendingRow {
  readonly kind: number;
  readonly gfn: number;
  /** Null for rows without a reference. */
  readonly place: ContentPlace | null;
}

class OpenBatch {
  readonly kinds = new Uint8Array(BATCH_ROWS_MAX);
  readonly gfns = new Uint32Array(BATCH_ROWS_MAX);
  readonly packIndexes = new Uint16Array(BATCH_ROWS_MAX);
  readonly slots = new Uint16Array(BATCH_ROWS_MAX);
  /** Names, or ordinals of this capture's own packs. */
  readonly packs = new Map<string | number, number>();
  rows = 0;
  lastOrdinal = -1;
}

export class BatchBuilder {
  readonly #capture: number;
  readonly #emit: (data: Uint8Array) => void;
  readonly #names: string[] = [];
  readonly #waiting: OpenBatch[] = [];
  #open: OpenBatch | null = null;
  #batch = 0;
  #firstRow = 0;

  constructor(capture: number, emit: (data: Uint8Array) => void) {
    this.#capture = capture;
    this.#emit = emit;
  }

  /** Adds a page event; gfns ascend through the capture. */
  add({ kind, gfn, place }: PendingRow): void {
    const full = this.#open;
    if (full !== null && !fitsEvent({ rows: full.rows + 1, packs: full.packs.size + 1 }))
      this.#close();
    const open = (this.#open ??= new OpenBatch());
    open.kinds[open.rows] = kind;
    open.gfns[open.rows] = gfn;
    assert(hasReference(kind) === (place !== null), 'a row has a place where its kind has one');
    if (place !== null) {
      const isPending = place._tag === 'pending';
      const ordinal = isPending ? Math.floor(place.number / PACK_PAGES_MAX) : -1;
      const key = isPending ? ordinal : place.pack;
      let index = open.packs.get(key);
      if (index === undefined) {
        index = open.packs.size;
        open.packs.set(key, index);
      }
      if (ordinal > open.lastOrdinal) open.lastOrdinal = ordinal;
      open.packIndexes[open.rows] = index;
      open.slots[open.rows] = isPending ? place.number % PACK_PAGES_MAX : place.slot;
    }
    open.rows += 1;
  }

  /** The capture's own pack of this ordinal is durable under a name. */
  named(name: string, ordinal: number): void {
    assert(ordinal === this.#names.length, 'packs are named in order');
    this.#names.push(name);
    this.#flush();
  }

  #close(): void {
    if (this.#open === null) return;
    this.#waiting.push(this.#open);
    this.#open = null;
    this.#flush();
  }

  #flush(): void {
    for (;;) {
      const [batch] = this.#waiting;
      if (batch === undefined || batch.lastOrdinal >= this.#names.length) return;
      this.#waiting.shift();
      this.#emit(this.#encode(batch));
      this.#batch += 1;
      this.#firstRow += batch.rows;
    }
  }

  #encode(batch: OpenBatch): Uint8Array {
    const { rows } = batch;
    return encodePageColumns({
      capture: this.#capture,
      batch: this.#batch,
      firstRow: this.#firstRow,
      parts: [],
      packs: [...batch.packs.keys()].map((key) =>
        typeof key === 'string' ? key : this.#names[key]!,
      ),
      kinds: batch.kinds.subarray(0, rows),
      gfns: batch.gfns.subarray(0, rows),
      packIndexes: batch.packIndexes.subarray(0, rows),
      slots: batch.slots.subarray(0, rows),
    });
  }

  /** Every batch is handed on; all packs are named by now. Gives the number of rows. */
  finish(): number {
    this.#close();
    assert(this.#waiting.length === 0, 'every batch has its packs named');
    return this.#firstRow;
  }

  /** Name of the capture's own nth pack. */
  nameOf(ordinal: number): string {
    const name = this.#names[ordinal];
    assert(name !== undefined, 'the pack is named');
    return name;
  }
}
