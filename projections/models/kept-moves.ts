// Where slots lie that do not stay, as a state keeps it: by ordinal of their pack, taken apart when
// somebody asks for the pack's. Of a pack that was emptied, what is not here is gone (places.ts).

import type { StateBytes } from '../../domain/ports/derived-files.ts';
import { lastWhere } from '../../domain/values/sorted-search.ts';
import { copyOf, NO_STATE, partOf } from './kept-bytes.ts';
import { StateUnfit, StateWriter, type StateReader } from './state-bytes.ts';

/** Slots of a pack and where they lie, of those that do not stay. */
export interface MovedSlots {
  readonly slots: Uint16Array;
  /** Below 0: minus 2, minus the place that one which is released had. */
  readonly places: Float64Array;
}

const SLOT_BYTES = 2;
const PLACE_BYTES = 8;
const MOVED_BYTES = SLOT_BYTES + PLACE_BYTES;

/** Slots of a pack as they are to be written: as they are kept, or changed since. */
export type MovesOf = (ordinal: number) => MovedSlots | null;

export class KeptMoves {
  /** Of packs of which slots moved, ascending; and of how many slots it is told up to the end of each. */
  readonly ordinals: Uint32Array;
  readonly #ends: Uint32Array;
  readonly #bytes: StateBytes;

  constructor(
    ordinals: Uint32Array = new Uint32Array(0),
    ends: Uint32Array = new Uint32Array(0),
    bytes: StateBytes = NO_STATE,
  ) {
    this.ordinals = ordinals;
    this.#ends = ends;
    this.#bytes = bytes;
  }

  /** Where what is told of the pack of an index begins. */
  #startOf(index: number): number {
    return index === 0 ? 0 : this.#ends[index - 1]! * MOVED_BYTES;
  }

  /** What moved of a pack; null: nothing did. O(log packs). */
  of(ordinal: number): MovedSlots | null {
    const index = lastWhere(this.ordinals.length, (i) => this.ordinals[i]! <= ordinal);
    if (index < 0 || this.ordinals[index] !== ordinal) return null;
    const at = this.#startOf(index);
    const count = this.#startOf(index + 1) / MOVED_BYTES - at / MOVED_BYTES;
    const placesAt = at + count * SLOT_BYTES;
    return {
      slots: new Uint16Array(copyOf(this.#bytes, at, count * SLOT_BYTES).buffer),
      places: new Float64Array(copyOf(this.#bytes, placesAt, count * PLACE_BYTES).buffer),
    };
  }

  /**
   * Writes what moved of packs, in the order of their ordinals: those that are kept, in runs as they lie,
   * but for those that `changed` tells of.
   */
  write(writer: StateWriter, ordinals: Uint32Array, changed: MovesOf): void {
    const ends = new Uint32Array(ordinals.length);
    const moves = new StateWriter();
    let [slots, kept, run] = [0, 0, { from: 0, to: 0 }];
    const endRun = (next: number): void => {
      moves.kept(partOf(this.#bytes, run.from, run.to - run.from));
      run = { from: next, to: next };
    };
    for (const [i, ordinal] of ordinals.entries()) {
      const moved = changed(ordinal);
      const isKept = this.ordinals[kept] === ordinal;
      const [from, to] = isKept ? [this.#startOf(kept), this.#startOf(kept + 1)] : [0, 0];
      if (isKept) kept += 1;
      if (moved === null) {
        if (run.to !== from) endRun(from);
        run.to = to;
        slots += (to - from) / MOVED_BYTES;
      } else {
        endRun(to);
        for (const { buffer, byteOffset, byteLength } of [moved.slots, moved.places])
          moves.raw(new Uint8Array(buffer, byteOffset, byteLength));
        slots += moved.slots.length;
      }
      ends[i] = slots;
    }
    endRun(0);
    writer.column(ordinals).column(ends).columnOf(moves);
  }

  /** What `write` wrote. StateUnfit where it is none. */
  static read(reader: StateReader): KeptMoves {
    const [ordinals, ends] = [reader.words(), reader.words()];
    const bytes = reader.kept();
    let isInOrder = ends.length === ordinals.length;
    for (let i = 1; i < ordinals.length; i += 1)
      isInOrder &&= ordinals[i]! > ordinals[i - 1]! && ends[i]! >= ends[i - 1]!;
    if (!isInOrder || (ends.at(-1) ?? 0) * MOVED_BYTES !== bytes.length)
      throw new StateUnfit('moved slots are uneven');
    return new KeptMoves(ordinals, ends, bytes);
  }
}
