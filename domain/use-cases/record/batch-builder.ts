// Gathers a capture's page events into batches. A batch is handed on once every pack it refers to is
// durable and named, so memory does not grow with the capture.

import { assert } from '../../values/assert.ts';
import { fitsEvent, hasReference, type PageColumns } from '../../events/pages-written.ts';
import { BATCH_ROWS_MAX } from '../../values/page.ts';
import type { PageReference } from '../../ports/models.ts';
import type { PackPlan } from './pack-plan.ts';

/** Index of the public patterns, before it is known how many packs a batch refers to. */
const PUBLIC = 0xffff;

/** Rows that a batch has room for at first: most captures are small, and memory never touched is dear. */
const FIRST_ROWS = 256;

/** A row of a batch before its packs have names. */
export interface PendingRow {
  readonly kind: number;
  readonly gfn: number;
  /** Null for rows without a reference. */
  readonly reference: PageReference | null;
}

class OpenBatch {
  kinds = new Uint8Array(FIRST_ROWS);
  gfns = new Uint32Array(FIRST_ROWS);
  packIndexes = new Uint16Array(FIRST_ROWS);
  slots = new Uint16Array(FIRST_ROWS);
  /** 1 where the slot counts from the end of its pack's contents. */
  areAfterContents = new Uint8Array(FIRST_ROWS);
  /** Names, or ordinals of this capture's own packs. */
  readonly packs = new Map<string | number, number>();
  rows = 0;
  lastOrdinal = -1;

  /** Has room for one more row: a batch of more than a small capture has it for all that it may come to. */
  makeRoom(): void {
    if (this.rows < this.kinds.length) return;
    const { kinds, gfns, packIndexes, slots, areAfterContents } = this;
    (this.kinds = new Uint8Array(BATCH_ROWS_MAX)).set(kinds);
    (this.gfns = new Uint32Array(BATCH_ROWS_MAX)).set(gfns);
    (this.packIndexes = new Uint16Array(BATCH_ROWS_MAX)).set(packIndexes);
    (this.slots = new Uint16Array(BATCH_ROWS_MAX)).set(slots);
    (this.areAfterContents = new Uint8Array(BATCH_ROWS_MAX)).set(areAfterContents);
  }
}

/** Index of a pack in a batch's list of names. */
function indexOf(open: OpenBatch, key: string | number): number {
  let index = open.packs.get(key);
  if (index === undefined) {
    index = open.packs.size;
    open.packs.set(key, index);
  }
  return index;
}

export class BatchBuilder {
  readonly #capture: number;
  readonly #emit: (columns: PageColumns) => void;
  readonly #plan: PackPlan;
  readonly #names: string[] = [];
  readonly #waiting: OpenBatch[] = [];
  #open: OpenBatch | null = null;
  #batch = 0;
  #firstRow = 0;
  #lastGfn = -1;

  constructor(
    of: { readonly capture: number; readonly plan: PackPlan },
    emit: (columns: PageColumns) => void,
  ) {
    this.#capture = of.capture;
    this.#plan = of.plan;
    this.#emit = emit;
  }

  /** Adds a page event; gfns ascend through the capture. */
  add({ kind, gfn, reference }: PendingRow): void {
    const full = this.#open;
    if (full !== null && !fitsEvent({ rows: full.rows + 1, packs: full.packs.size + 1 }))
      this.#close();
    const open = (this.#open ??= new OpenBatch());
    open.makeRoom();
    open.kinds[open.rows] = kind;
    open.gfns[open.rows] = gfn;
    assert(hasReference(kind) === (reference !== null), 'a row refers to what its kind says');
    if (reference !== null) this.#refer(open, reference);
    open.rows += 1;
  }

  #refer(open: OpenBatch, reference: PageReference): void {
    const { rows } = open;
    switch (reference._tag) {
      case 'public':
        open.packIndexes[rows] = PUBLIC;
        open.slots[rows] = reference.pattern;
        break;
      case 'committed':
        open.packIndexes[rows] = indexOf(open, reference.pack);
        open.slots[rows] = reference.slot;
        break;
      case 'pending': {
        const { ordinal, index } = this.#plan.locate(reference.kind, reference.number);
        if (ordinal > open.lastOrdinal) open.lastOrdinal = ordinal;
        open.packIndexes[rows] = indexOf(open, ordinal);
        open.slots[rows] = index;
        open.areAfterContents[rows] = reference.kind === 'pattern' ? 1 : 0;
        break;
      }
      default:
        reference satisfies never;
    }
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
      this.#emit(this.#columnsOf(batch));
      this.#batch += 1;
      this.#firstRow += batch.rows;
    }
  }

  #columnsOf(batch: OpenBatch): PageColumns {
    const { rows } = batch;
    const gfns = batch.gfns.subarray(0, rows);
    assert(gfns[0]! > this.#lastGfn, 'a capture has each page once, in order');
    this.#lastGfn = gfns[rows - 1]!;
    const keys = [...batch.packs.keys()];
    for (let row = 0; row < rows; row += 1) {
      const index = batch.packIndexes[row]!;
      if (index === PUBLIC) batch.packIndexes[row] = keys.length;
      else if (batch.areAfterContents[row] === 1)
        batch.slots[row]! += this.#plan.contentsOf(Number(keys[index]))!;
    }
    return {
      capture: this.#capture,
      batch: this.#batch,
      firstRow: this.#firstRow,
      parts: [],
      packs: keys.map((key) => (typeof key === 'string' ? key : this.#names[key]!)),
      kinds: batch.kinds.subarray(0, rows),
      gfns,
      packIndexes: batch.packIndexes.subarray(0, rows),
      slots: batch.slots.subarray(0, rows),
    };
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
