// Where the slots of packs lie: at home, in another pack since compaction moved them, or nowhere any
// more. A *home* is the pack and slot that gave a content or a pattern its number; a *place* is a
// pack's ordinal (of all packs, in log order) times PACK_SLOTS, plus a slot.
//
// Invariants: what is released remembers its place, since a capture that did not know of the release
// may refer to it again; a pack is needed while something lies in it.

import type { StateBytes } from '../../domain/ports/derived-files.ts';
import { assert } from '../../domain/values/assert.ts';
import { ordinalAt, placeAt } from '../../domain/values/place.ts';
import { copyOf, NO_STATE } from './kept-bytes.ts';
import { KeptMoves, type MovedSlots } from './kept-moves.ts';
import { StateUnfit, type StateReader, type StateWriter } from './state-bytes.ts';

export type { MovedSlots } from './kept-moves.ts';

/** A slot that never moved. */
export const STAYS = -1;
/** Of a released slot: this minus the place that it had. */
const RELEASED = -2;
/** Of a slot of which nothing is known any more. */
const GONE = Number.NEGATIVE_INFINITY;
/** What no count of slots is: the pack of an ordinal was not taken in. */
const NOT_HERE = 0xffff_ffff;

/** Bytes that tell when a pack was emptied. */
const EMPTIED_BYTES = 16;

/** The slot that gave a content or a pattern its number. */
export interface Home {
  readonly ordinal: number;
  readonly slot: number;
}

/** Where slots of a pack lie: of all of them, or, of one that was emptied, of those of which it is known. */
type Moved = Float64Array | Map<number, number>;

function movedSlots(moved: Moved): MovedSlots {
  const entries = [...moved.entries()].filter(([, place]) => place !== STAYS);
  return {
    slots: Uint16Array.from(entries, ([slot]) => slot),
    places: Float64Array.from(entries, ([, place]) => place),
  };
}

export class Places {
  /** By ordinal of a written pack: where each of its slots lies now. */
  readonly #moved = new Map<number, Moved>();
  /** The same of packs that nobody has asked for since they were loaded. */
  #kept = new KeptMoves();
  /**
   * By ordinal: slots of a written pack (0: compaction wrote it), and how many lie in a pack; NOT_HERE from
   * `count` on, too.
   */
  #slots: Uint32Array = new Uint32Array(0);
  #lying: Uint32Array = new Uint32Array(0);
  /** The ordinal that the next pack gets. */
  count = 0;
  /** By ordinal of a pack that is not needed: since when, by the clock of who emptied it. */
  #emptiedAt: Map<number, number> | null = null;
  /** The same as it is kept, as pairs, until somebody asks. */
  #keptEmptied: StateBytes = NO_STATE;

  get #emptiedAtMs(): Map<number, number> {
    if (this.#emptiedAt !== null) return this.#emptiedAt;
    const emptied = (this.#emptiedAt = new Map<number, number>());
    const kept = new Float64Array(copyOf(this.#keptEmptied, 0, this.#keptEmptied.length).buffer);
    for (let i = 0; i + 1 < kept.length; i += 2) emptied.set(kept[i]!, kept[i + 1]!);
    return emptied;
  }

  /** Slots of a written pack; 0: compaction wrote it, or it is not here. */
  #slotsOf(ordinal: number): number {
    return this.#isHere(ordinal) ? this.#slots[ordinal]! : 0;
  }

  #isHere(ordinal: number): boolean {
    return (this.#slots[ordinal] ?? NOT_HERE) !== NOT_HERE;
  }

  /** Makes room for an ordinal. */
  #room(ordinal: number): void {
    if (ordinal < this.#slots.length) return;
    const longer = (column: Uint32Array): Uint32Array => {
      const grown = new Uint32Array(2 * (ordinal + 1)).fill(NOT_HERE);
      grown.set(column);
      return grown;
    };
    this.#slots = longer(this.#slots);
    this.#lying = longer(this.#lying);
  }

  /** Takes the next pack in. Nothing lies yet in one that compaction wrote: its slots move there. */
  add(writtenSlots: number): number {
    this.#room(this.count);
    this.#slots[this.count] = writtenSlots;
    this.#lying[this.count] = writtenSlots;
    this.count += 1;
    return this.count - 1;
  }

  /** Takes the next pack in, which was emptied: what is not told of its slots is gone. */
  addEmptied(writtenSlots: number): number {
    const ordinal = this.add(writtenSlots);
    this.#lying[ordinal] = 0;
    this.#moved.set(ordinal, new Map());
    return ordinal;
  }

  /** Where a released slot would lie, were it used again; null: it is not released, or nothing is known of it. */
  leftBy(home: Home): number | null {
    const from = this.of(home);
    return from >= 0 || from === GONE ? null : RELEASED - from;
  }

  /** Ordinals before this one that were not taken in are of packs that nobody needs any more. */
  skipTo(ordinal: number): void {
    this.count = Math.max(this.count, ordinal);
  }

  /** Where the slots of a pack lie; undefined: all stay. */
  #movedOf(ordinal: number): Moved | undefined {
    const moved = this.#moved.get(ordinal);
    if (moved !== undefined) return moved;
    const kept = this.#kept.of(ordinal);
    if (kept === null) return undefined;
    const made = this.#made(ordinal, kept);
    this.#moved.set(ordinal, made);
    return made;
  }

  #made(ordinal: number, { slots, places }: MovedSlots): Moved {
    const written = this.#slotsOf(ordinal);
    // Of a pack of which all moved, as of one that was merged, the column is what is known of it.
    if (slots.length === written && slots.every((slot, i) => slot === i)) return places;
    const moved = new Float64Array(written).fill(STAYS);
    for (const [i, slot] of slots.entries()) moved[slot] = places[i]!;
    return moved;
  }

  /** Where a slot lies; below 0: it is released. */
  of({ ordinal, slot }: Home): number {
    const moved = this.#movedOf(ordinal);
    if (moved instanceof Map) return moved.get(slot) ?? GONE;
    const place = moved?.[slot] ?? STAYS;
    return place === STAYS ? placeAt(ordinal, slot) : place;
  }

  /** Whether slots of a pack may lie elsewhere than where they were written. */
  hasMoved(ordinal: number): boolean {
    return this.#movedOf(ordinal) !== undefined;
  }

  #set({ ordinal, slot }: Home, to: number): void {
    assert(slot < this.#slotsOf(ordinal), 'only slots of a pack move');
    let moved = this.#movedOf(ordinal);
    if (moved === undefined) {
      moved = new Float64Array(this.#slotsOf(ordinal)).fill(STAYS);
      this.#moved.set(ordinal, moved);
    }
    if (moved instanceof Map) moved.set(slot, to);
    else moved[slot] = to;
  }

  #leave(place: number, timeMs: number): void {
    const ordinal = ordinalAt(place);
    this.#lying[ordinal]! -= 1;
    if (this.#lying[ordinal] === 0) this.#emptiedAtMs.set(ordinal, timeMs);
  }

  #enter(place: number): void {
    const ordinal = ordinalAt(place);
    this.#lying[ordinal]! += 1;
    this.#emptiedAtMs.delete(ordinal);
  }

  /** A slot lies elsewhere from now on; a released one would, were it used again. */
  move(home: Home, to: number, timeMs: number): void {
    const from = this.of(home);
    if (from === GONE) return;
    if (from < 0) {
      this.#set(home, RELEASED - to);
      return;
    }
    this.#enter(to);
    this.#leave(from, timeMs);
    this.#set(home, to);
  }

  /** Lets go of what a slot holds; false: that was done. */
  release(home: Home, timeMs: number): boolean {
    const from = this.of(home);
    if (from < 0) return false;
    this.#leave(from, timeMs);
    this.#set(home, RELEASED - from);
    return true;
  }

  /** A released slot is used again; false: it was not released. */
  revive(home: Home): boolean {
    const from = this.of(home);
    if (from >= 0 || from === GONE) return false;
    this.#enter(RELEASED - from);
    this.#set(home, RELEASED - from);
    return true;
  }

  /** Slots that lie in a pack. */
  lyingIn(ordinal: number): number {
    return this.#isHere(ordinal) ? this.#lying[ordinal]! : 0;
  }

  /** Since when nothing lies in a pack; null: something does. */
  emptiedAtMs(ordinal: number): number | null {
    return this.#lying[ordinal] === 0 ? (this.#emptiedAtMs.get(ordinal) ?? 0) : null;
  }

  /** What moved, and when packs were emptied, for a state file. */
  get saved(): {
    readonly moved: ReadonlyMap<number, MovedSlots>;
    readonly emptiedAtMs: ReadonlyMap<number, number>;
  } {
    for (const ordinal of this.#kept.ordinals) this.#movedOf(ordinal);
    const inOrder = [...this.#moved].toSorted(([a], [b]) => a - b);
    const moved = new Map(inOrder.map(([ordinal, of]) => [ordinal, movedSlots(of)]));
    return { moved, emptiedAtMs: this.#emptiedAtMs };
  }

  /** Writes all that is known, of packs that nobody asked for as it lies. */
  save(writer: StateWriter): void {
    this.#room(this.count);
    writer.column(this.#slots.subarray(0, this.count));
    writer.column(this.#lying.subarray(0, this.count));
    const emptied = [...this.#moved].flatMap(([ordinal, of]) =>
      of instanceof Map ? [ordinal] : [],
    );
    writer.column(Uint32Array.from(emptied));
    const ordinals = new Uint32Array(new Set([...this.#kept.ordinals, ...this.#moved.keys()]));
    this.#kept.write(writer, ordinals.toSorted(), (ordinal) => {
      const moved = this.#moved.get(ordinal);
      return moved === undefined ? null : movedSlots(moved);
    });
    if (this.#emptiedAt === null) writer.u32(this.#keptEmptied.length).kept(this.#keptEmptied);
    else writer.column(Float64Array.from([...this.#emptiedAt].flat()));
  }

  /** What `save` wrote. StateUnfit where it is none. */
  static read(reader: StateReader): Places {
    const places = new Places();
    places.#slots = reader.words();
    places.#lying = reader.words();
    places.count = places.#slots.length;
    const emptied = reader.words();
    const kept = KeptMoves.read(reader);
    const [last] = kept.ordinals.subarray(-1);
    if (places.#lying.length !== places.count || (last ?? -1) >= places.count)
      throw new StateUnfit('places are not of their packs');
    for (const ordinal of emptied) {
      const of = kept.of(ordinal) ?? { slots: [], places: [] };
      places.#moved.set(ordinal, new Map(Array.from(of.slots, (slot, i) => [slot, of.places[i]!])));
    }
    places.#kept = kept;
    places.#keptEmptied = reader.kept();
    if (places.#keptEmptied.length % EMPTIED_BYTES !== 0)
      throw new StateUnfit('emptied packs are cut off');
    return places;
  }

  /** Takes up what was saved, once every pack was added. False: it does not fit. */
  load(saved: Places['saved']): boolean {
    for (const [ordinal, { slots, places }] of saved.moved) {
      const isEmptied = this.#moved.get(ordinal) instanceof Map;
      if (slots.length !== places.length) return false;
      const written = this.#slotsOf(ordinal);
      let areAll = !isEmptied && slots.length === written;
      for (let i = 0; i < slots.length; i += 1) {
        const to = places[i]!;
        if (slots[i]! >= written || to === STAYS) return false;
        areAll &&= slots[i] === i;
        if (to < 0) continue;
        const target = ordinalAt(to);
        if (!this.#isHere(target)) return false;
        this.#lying[target]! += 1;
      }
      if (!isEmptied) this.#lying[ordinal]! -= slots.length;
      // Of a pack of which all moved, as of one that was merged, the column is what is known of it.
      if (areAll) this.#moved.set(ordinal, places);
      else for (const [i, slot] of slots.entries()) this.#set({ ordinal, slot }, places[i]!);
    }
    for (const [ordinal, timeMs] of saved.emptiedAtMs) this.#emptiedAtMs.set(ordinal, timeMs);
    return true;
  }
}
