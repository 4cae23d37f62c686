// The identifier index: which content has an identifier. Open addressing over slots of eight bytes
// (32-bit fingerprint, content number + 1), at most 0.7 full; the identifier itself is compared only
// on a fingerprint hit, in a column that lies outside memory: 11.4 to 14.3 bytes a content. A slot's
// home is its fingerprint scaled to the capacity, so the table grows by any factor, in one pass in
// slot order, and without reading an identifier. At ten million contents that leaves eight bits that
// tell neighbours apart: about one look-up in a hundred reads an identifier for nothing.
//
// Invariant: no two entries have equal identifiers.

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
const GROWTH_LARGE = 1.25;
const CAPACITY_LARGE = 2 ** 20;

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

/** Puts the entries of a table into an empty larger one. */
function refill(old: Uint32Array, slots: Uint32Array): void {
  const scale = slots.length / SLOT_WORDS / FINGERPRINT_SPAN;
  for (let i = 0; i < old.length; i += SLOT_WORDS) {
    const entry = old[i + 1]!;
    if (entry === 0) continue;
    const fingerprint = old[i]!;
    let at = Math.floor(fingerprint * scale) * SLOT_WORDS;
    while (slots[at + 1] !== 0) at = at + SLOT_WORDS === slots.length ? 0 : at + SLOT_WORDS;
    slots[at] = fingerprint;
    slots[at + 1] = entry;
  }
}

export class IdentifierIndex {
  #slots: Uint32Array;
  #capacity: number;
  #scale: number;
  #count = 0;
  readonly #column: IdentifierColumn;

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
    return this.#slots.byteLength;
  }

  /** The content with the identifier in row `row` of a column, or -1. */
  find(identifiers: Uint8Array, row: number): number {
    const at = row * IDENTIFIER_BYTES;
    const fingerprint = wordAt(identifiers, at);
    let slot = Math.floor(fingerprint * this.#scale);
    for (;;) {
      const entry = this.#slots[slot * SLOT_WORDS + 1]!;
      if (entry === 0) return -1;
      if (this.#slots[slot * SLOT_WORDS] === fingerprint) {
        const held = this.#column.read(entry - 1);
        if (held === null) throw new IndexUnfit(`identifier ${entry - 1} cannot be read`);
        if (isEqual(held, identifiers, at)) return entry - 1;
      }
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
    const old = this.#slots;
    const growth = this.#capacity < CAPACITY_LARGE ? GROWTH_SMALL : GROWTH_LARGE;
    const capacity = Math.ceil(this.#capacity * growth);
    this.#resize(capacity, new Uint32Array(capacity * SLOT_WORDS));
    refill(old, this.#slots);
  }

  #resize(capacity: number, slots: Uint32Array): void {
    this.#slots = slots;
    this.#capacity = capacity;
    this.#scale = capacity / FINGERPRINT_SPAN;
  }

  save(writer: StateWriter): void {
    writer.u32(this.#count).column(this.#slots);
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
