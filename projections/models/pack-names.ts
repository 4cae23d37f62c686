// Packs by their names: tables of their indexes, an index and 1 in a slot and 0 in an empty one, found by
// the first bytes of the name, which are of a hash. One is as a state has it and is read where it is
// asked; packs that came since are in another.

import type { StateBytes } from '../../domain/ports/derived-files.ts';
import { NO_STATE } from './kept-bytes.ts';
import { StateUnfit, type StateReader, type StateWriter } from './state-bytes.ts';

const SLOT_BYTES = 4;
const SLOTS_MIN = 64;

/** Slots for so many packs: at most half of them are taken. */
const slotsFor = (packs: number): number =>
  Math.max(SLOTS_MIN, 2 ** Math.ceil(Math.log2(2 * packs + 2)));

const startOf = (name: Uint8Array, slots: number): number =>
  (name[0]! | (name[1]! << 8) | (name[2]! << 16) | (name[3]! << 24)) & (slots - 1);

function put(table: Uint32Array, name: Uint8Array, index: number): void {
  let slot = startOf(name, table.length);
  while (table[slot] !== 0) slot = (slot + 1) & (table.length - 1);
  table[slot] = index + 1;
}

/** Whether two names are equal, which are nearly always: they were found by how they begin. */
function isSame(one: Uint8Array, other: Uint8Array): boolean {
  for (let i = 0; i < one.length; i += 1) if (one[i] !== other[i]) return false;
  return true;
}

/** The name of a pack by its index; valid until another is asked for. */
type NameAt = (index: number) => Uint8Array;

export class PackNames {
  readonly #nameAt: NameAt;
  #kept: StateBytes = NO_STATE;
  /** Packs that are in the kept table, and in all. */
  #keptCount = 0;
  #count = 0;
  #added = new Uint32Array(SLOTS_MIN);
  readonly #slot = new Uint32Array(1);
  readonly #slotBytes = new Uint8Array(this.#slot.buffer);

  constructor(nameAt: NameAt) {
    this.#nameAt = nameAt;
  }

  /** Adds the next pack. */
  push(name: Uint8Array): void {
    const added = this.#count - this.#keptCount + 1;
    if (2 * added > this.#added.length) this.#added = this.#tableOf(this.#keptCount, added * 2);
    put(this.#added, name, this.#count);
    this.#count += 1;
  }

  /** A table, with room for so many packs, of those from one on. */
  #tableOf(first: number, room: number): Uint32Array<ArrayBuffer> {
    const table = new Uint32Array(slotsFor(room));
    for (let index = first; index < this.#count; index += 1) put(table, this.#nameAt(index), index);
    return table;
  }

  /** The index of a pack of a name that is one of those asked for; -1: there is none. */
  find(name: Uint8Array, isAsked: (index: number) => boolean): number {
    const isIt = (index: number): boolean => isAsked(index) && isSame(this.#nameAt(index), name);
    const added = this.#findIn(this.#added.length, (slot) => this.#added[slot]!, name, isIt);
    if (added >= 0 || this.#keptCount === 0) return added;
    const keptAt = (slot: number): number => {
      this.#kept.copy(slot * SLOT_BYTES, this.#slotBytes);
      if (this.#slot[0]! > this.#keptCount) throw new StateUnfit('a name is of no pack');
      return this.#slot[0]!;
    };
    return this.#findIn(this.#kept.length / SLOT_BYTES, keptAt, name, isIt);
  }

  #findIn(
    slots: number,
    at: (slot: number) => number,
    name: Uint8Array,
    isIt: (index: number) => boolean,
  ): number {
    let slot = startOf(name, slots);
    for (let left = slots; left > 0; left -= 1) {
      const taken = at(slot);
      if (taken === 0) return -1;
      if (isIt(taken - 1)) return taken - 1;
      slot = (slot + 1) & (slots - 1);
    }
    return -1;
  }

  /** Writes the table of all. */
  save(writer: StateWriter): void {
    const isKept = this.#count === this.#keptCount;
    if (isKept) writer.u32(this.#kept.length).kept(this.#kept);
    else writer.column(this.#tableOf(0, this.#count));
  }

  /** What `save` wrote of so many packs. StateUnfit where it has no room for them. */
  load(reader: StateReader, packs: number): void {
    this.#kept = reader.kept();
    this.#keptCount = packs;
    this.#count = packs;
    const slots = this.#kept.length / SLOT_BYTES;
    if (packs > 0 && slots !== slotsFor(packs)) throw new StateUnfit('names have another table');
  }
}
