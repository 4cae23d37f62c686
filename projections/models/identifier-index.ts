// The identifier index: which content has an identifier. Open addressing over slots of eight bytes
// (32-bit fingerprint, content number + 1), at most 0.7 full; the identifier itself is compared only
// on a fingerprint hit, in a column that lies outside memory: 11.4 to 16 bytes a content. A slot's
// home is its fingerprint scaled to the capacity, so the table grows by any factor, in one pass in
// slot order, and without reading an identifier. At ten million contents that leaves eight bits that
// tell neighbours apart: about one look-up in a hundred reads an identifier for nothing.
//
// A large table has room behind it and grows where it lies, from its end on: fresh memory costs more
// than moving entries does, and room that was never written to takes none.
//
// Invariants: no two entries have equal identifiers; what lies behind the capacity is zero.

import { assert } from '../../domain/values/assert.ts';
import { IDENTIFIER_BYTES } from '../../domain/ports/page-engine.ts';
import { StateUnfit, type StateReader, type StateWriter } from './state-bytes.ts';

/** Identifiers by content number. Reading one that is absent or damaged gives null. */
export interface IdentifierColumn {
  /** Makes ready to read and append; absent: it always is. Whoever reads no identifier never asks. */
  readonly ready?: () => Promise<void>;
  append(first: number, identifiers: Uint8Array): void;
  read(content: number): Uint8Array | null;
  /** Forgets everything: the column is about to be written anew. */
  clear(): void;
  /** As `clear`, and gives the room back; absent: there is none. Nobody else is hurt who reads on. */
  readonly forget?: () => Promise<void>;
  close(): void;
}

const CAPACITY_MIN = 1024;
const LOAD_MAX = 0.7;
const SLOT_WORDS = 2;
const FINGERPRINT_SPAN = 2 ** 32;
/** Growth of a small table and of a large one, where memory counts for more than passes. */
const GROWTH_SMALL = 2;
const GROWTH_LARGE = 1.4;
const CAPACITY_LARGE = 2 ** 20;
/** A large table has room for so many slots, and once it fills that for twice its own. */
const ROOM_LARGE = 2 ** 24;
/** Rows whose first slots are read together, so that one read does not wait for the other. */
const ROWS_TOGETHER = 64;

/** Raised when the identifier column does not hold what the index says: both are derived, replay. */
export class IndexUnfit extends Error {
  override readonly name = 'IndexUnfit';
}

const isEqual = (a: Uint8Array, column: Uint8Array, at: number): boolean => {
  for (let i = 0; i < IDENTIFIER_BYTES; i += 1) if (a[i] !== column[at + i]) return false;
  return true;
};

/** A 32-bit word of an identifier, little-endian. */
const wordAt = (column: Uint8Array, at: number): number =>
  (column[at]! | (column[at + 1]! << 8) | (column[at + 2]! << 16) | (column[at + 3]! << 24)) >>> 0;

/**
 * Puts entries into the slots of a table of so many; gives those that went past its end. `entries` and
 * `slots` may not overlap.
 */
function putAll(entries: Uint32Array, slots: Uint32Array, capacity: number): number[] {
  const scale = capacity / FINGERPRINT_SPAN;
  const end = capacity * SLOT_WORDS;
  const past: number[] = [];
  for (let i = 0; i < entries.length; i += SLOT_WORDS) {
    const entry = entries[i + 1]!;
    if (entry === 0) continue;
    const fingerprint = entries[i]!;
    let at = Math.floor(fingerprint * scale) * SLOT_WORDS;
    while (at < end && slots[at + 1] !== 0) at += SLOT_WORDS;
    if (at === end) past.push(fingerprint, entry);
    else {
      slots[at] = fingerprint;
      slots[at + 1] = entry;
    }
  }
  return past;
}

/**
 * Spreads the entries of a table over more slots of the same memory, the last first. While homes move
 * up beyond the slots that are left to be moved, each entry goes straight to its place; the few before
 * them are taken out and put in again. Gives those that went past the end.
 */
function spread(slots: Uint32Array, from: number, to: number): number[] {
  const past: number[] = [];
  const scale = to / FINGERPRINT_SPAN;
  const last = to * SLOT_WORDS;
  let slot = (from - 1) * SLOT_WORDS;
  for (; slot >= 0; slot -= SLOT_WORDS) {
    const entry = slots[slot + 1]!;
    if (entry === 0) continue;
    const fingerprint = slots[slot]!;
    let at = Math.floor(fingerprint * scale) * SLOT_WORDS;
    if (at <= slot) break;
    slots[slot] = 0;
    slots[slot + 1] = 0;
    while (at < last && slots[at + 1] !== 0) at += SLOT_WORDS;
    if (at === last) past.push(fingerprint, entry);
    else {
      slots[at] = fingerprint;
      slots[at + 1] = entry;
    }
  }
  const rest = slots.slice(0, slot + SLOT_WORDS);
  slots.fill(0, 0, rest.length);
  return [...past, ...putAll(rest, slots, to)];
}

export class IdentifierIndex {
  #slots: Uint32Array;
  #capacity: number;
  #scale: number;
  #count = 0;
  readonly #column: IdentifierColumn;
  /** What was read ahead of need; written, so that it is read. */
  readonly #touched = new Uint32Array(ROWS_TOGETHER);

  constructor(column: IdentifierColumn, capacity = CAPACITY_MIN) {
    this.#column = column;
    this.#slots = new Uint32Array(capacity * SLOT_WORDS);
    this.#capacity = capacity;
    this.#scale = capacity / FINGERPRINT_SPAN;
  }

  get count(): number {
    return this.#count;
  }

  /** Bytes of memory the table takes. */
  get byteLength(): number {
    return this.#table().byteLength;
  }

  #table(): Uint32Array {
    return this.#slots.subarray(0, this.#capacity * SLOT_WORDS);
  }

  /** The content with the identifier in row `row` of a column, or -1. */
  find(identifiers: Uint8Array, row: number): number {
    const fingerprint = wordAt(identifiers, row * IDENTIFIER_BYTES);
    let slot = Math.floor(fingerprint * this.#scale);
    for (;;) {
      const entry = this.#slots[slot * SLOT_WORDS + 1]!;
      if (entry === 0) return -1;
      const isAlike = this.#slots[slot * SLOT_WORDS] === fingerprint;
      if (isAlike && this.#isOf(entry - 1, identifiers, row)) return entry - 1;
      slot = slot + 1 === this.#capacity ? 0 : slot + 1;
    }
  }

  /** Takes an identifier in that `find` did not find. Amortised O(1). */
  insert(identifiers: Uint8Array, row: number, content: number): void {
    if (this.#count + 1 > LOAD_MAX * this.#capacity) this.#grow();
    const at = row * IDENTIFIER_BYTES;
    this.#put(wordAt(identifiers, at), content + 1);
    this.#count += 1;
  }

  /**
   * Takes in what the index does not know of `rows` identifiers, those of the contents from `first` on,
   * and tells of each other one with the content that has its identifier. As `find` and `insert` would.
   */
  insertAll(
    identifiers: Uint8Array,
    { first, rows }: { readonly first: number; readonly rows: number },
    known: (content: number, held: number) => void,
  ): void {
    for (let from = 0; from < rows; from += ROWS_TOGETHER) {
      const to = Math.min(rows, from + ROWS_TOGETHER);
      while (this.#count + to - from > LOAD_MAX * this.#capacity) this.#grow();
      this.#touch(identifiers, from, to);
      for (let row = from; row < to; row += 1) {
        const held = this.#take(identifiers, row, first + row);
        if (held >= 0) known(first + row, held);
      }
    }
  }

  /** Brings the first slots of identifiers near. */
  #touch(identifiers: Uint8Array, from: number, to: number): void {
    const slots = this.#slots;
    const scale = this.#scale;
    for (let row = from; row < to; row += 1) {
      const home = Math.floor(wordAt(identifiers, row * IDENTIFIER_BYTES) * scale);
      this.#touched[row - from] = slots[home * SLOT_WORDS + 1]!;
    }
  }

  /** The content with an identifier, or -1: it is this one's from now on. */
  #take(identifiers: Uint8Array, row: number, content: number): number {
    const slots = this.#slots;
    const fingerprint = wordAt(identifiers, row * IDENTIFIER_BYTES);
    let at = Math.floor(fingerprint * this.#scale) * SLOT_WORDS;
    const end = this.#capacity * SLOT_WORDS;
    for (let entry = slots[at + 1]!; entry !== 0; entry = slots[at + 1]!) {
      if (slots[at] === fingerprint && this.#isOf(entry - 1, identifiers, row)) return entry - 1;
      at = at + SLOT_WORDS === end ? 0 : at + SLOT_WORDS;
    }
    slots[at] = fingerprint;
    slots[at + 1] = content + 1;
    this.#count += 1;
    return -1;
  }

  #isOf(content: number, identifiers: Uint8Array, row: number): boolean {
    const held = this.#column.read(content);
    if (held === null) throw new IndexUnfit(`identifier ${content} cannot be read`);
    return isEqual(held, identifiers, row * IDENTIFIER_BYTES);
  }

  /** Takes a content out, whose identifier is in this row; false: another or none has it. Amortised O(1). */
  remove(identifiers: Uint8Array, row: number, content: number): boolean {
    const fingerprint = wordAt(identifiers, row * IDENTIFIER_BYTES);
    let slot = this.#homeOf(fingerprint);
    for (; this.#slots[slot * SLOT_WORDS + 1] !== content + 1; slot = this.#after(slot))
      if (this.#slots[slot * SLOT_WORDS + 1] === 0) return false;
    this.#closeGap(slot);
    this.#count -= 1;
    return true;
  }

  #homeOf(fingerprint: number): number {
    return Math.floor(fingerprint * this.#scale);
  }

  #after(slot: number): number {
    return slot + 1 === this.#capacity ? 0 : slot + 1;
  }

  /** Moves what follows an empty slot nearer to its home, so that nobody stops at the gap too early. */
  #closeGap(empty: number): void {
    let gap = empty;
    for (let slot = this.#after(gap); ; slot = this.#after(slot)) {
      const entry = this.#slots[slot * SLOT_WORDS + 1]!;
      if (entry === 0) break;
      const fingerprint = this.#slots[slot * SLOT_WORDS]!;
      const home = this.#homeOf(fingerprint);
      // How far each is from the entry's home, going up and around.
      const fromGap = (gap - home + this.#capacity) % this.#capacity;
      const fromSlot = (slot - home + this.#capacity) % this.#capacity;
      if (fromGap > fromSlot) continue;
      this.#slots[gap * SLOT_WORDS] = fingerprint;
      this.#slots[gap * SLOT_WORDS + 1] = entry;
      gap = slot;
    }
    this.#slots[gap * SLOT_WORDS] = 0;
    this.#slots[gap * SLOT_WORDS + 1] = 0;
  }

  #put(fingerprint: number, entry: number): void {
    let slot = Math.floor(fingerprint * this.#scale);
    while (this.#slots[slot * SLOT_WORDS + 1] !== 0)
      slot = slot + 1 === this.#capacity ? 0 : slot + 1;
    this.#slots[slot * SLOT_WORDS] = fingerprint;
    this.#slots[slot * SLOT_WORDS + 1] = entry;
  }

  #grow(): void {
    const old = this.#table();
    const from = this.#capacity;
    const growth = from < CAPACITY_LARGE ? GROWTH_SMALL : GROWTH_LARGE;
    const capacity = Math.ceil(from * growth);
    const hasRoom = capacity * SLOT_WORDS <= this.#slots.length;
    const room = capacity < CAPACITY_LARGE ? capacity : Math.max(ROOM_LARGE, 2 * capacity);
    this.#resize(capacity, hasRoom ? this.#slots : new Uint32Array(room * SLOT_WORDS));
    const past = hasRoom ? spread(this.#slots, from, capacity) : putAll(old, this.#slots, capacity);
    for (let i = 0; i < past.length; i += SLOT_WORDS) this.#put(past[i]!, past[i + 1]!);
  }

  #resize(capacity: number, slots: Uint32Array): void {
    this.#slots = slots;
    this.#capacity = capacity;
    this.#scale = capacity / FINGERPRINT_SPAN;
  }

  save(writer: StateWriter): void {
    writer.u32(this.#count).column(this.#table());
  }

  static load(reader: StateReader, column: IdentifierColumn): IdentifierIndex {
    const count = reader.u32();
    const slots = reader.words();
    const capacity = slots.length / SLOT_WORDS;
    if (!Number.isInteger(capacity) || capacity < 2 || count > capacity * LOAD_MAX)
      throw new StateUnfit('the identifier index has an impossible size');
    const index = new IdentifierIndex(column, 2);
    index.#resize(capacity, slots);
    index.#count = count;
    return index;
  }
}

/** Identifiers that lie side by side in memory. */
const CHUNK = 1024;
const CHUNK_BYTES = CHUNK * IDENTIFIER_BYTES;

/**
 * An identifier column in memory: for ledgers in memory, and for a capture's own new contents. Contents
 * that are gone take none, where many of them follow each other.
 */
export class MemoryIdentifierColumn implements IdentifierColumn {
  #chunks = new Map<number, Uint8Array>();
  #count = 0;

  append(first: number, identifiers: Uint8Array): void {
    assert(first >= this.#count, 'identifiers come in order');
    for (let at = 0; at < identifiers.length;) {
      const to = first * IDENTIFIER_BYTES + at;
      const number = Math.floor(to / CHUNK_BYTES);
      let chunk = this.#chunks.get(number);
      if (chunk === undefined) {
        chunk = new Uint8Array(CHUNK_BYTES);
        this.#chunks.set(number, chunk);
      }
      const room = CHUNK_BYTES - (to % CHUNK_BYTES);
      const some = identifiers.subarray(at, at + room);
      chunk.set(some, to % CHUNK_BYTES);
      at += some.length;
    }
    this.#count = first + identifiers.length / IDENTIFIER_BYTES;
  }

  read(content: number): Uint8Array | null {
    if (content >= this.#count) return null;
    const chunk = this.#chunks.get(Math.floor(content / CHUNK)) ?? NO_IDENTIFIERS;
    const at = (content % CHUNK) * IDENTIFIER_BYTES;
    return chunk.subarray(at, at + IDENTIFIER_BYTES);
  }

  /** Identifiers so far. */
  get count(): number {
    return this.#count;
  }

  /** A copy of all identifiers so far, in order. */
  all(): Uint8Array<ArrayBuffer> {
    const all = new Uint8Array(this.#count * IDENTIFIER_BYTES);
    for (const [number, chunk] of this.#chunks) {
      const at = number * CHUNK_BYTES;
      all.set(chunk.subarray(0, all.length - at), at);
    }
    return all;
  }

  clear(): void {
    this.#chunks.clear();
    this.#count = 0;
  }

  close(): void {
    this.#chunks.clear();
  }
}

/** What is read where there is none. */
const NO_IDENTIFIERS = new Uint8Array(CHUNK_BYTES);
