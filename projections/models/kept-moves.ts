// Where slots lie that do not stay, as a state keeps it: by ordinal of their pack, taken apart when
// somebody asks for the pack's. Of a pack that was emptied, what is not here is gone (places.ts).

import { lastWhere } from '../../domain/values/sorted-search.ts';
import { StateUnfit, type StateReader, type StateWriter } from './state-bytes.ts';

/** Slots of a pack and where they lie, of those that do not stay. */
export interface MovedSlots {
  readonly slots: Uint16Array;
  /** Below 0: minus 2, minus the place that one which is released had. */
  readonly places: Float64Array;
}

const SLOT_BYTES = 2;
const PLACE_BYTES = 8;
const MOVED_BYTES = SLOT_BYTES + PLACE_BYTES;

export class KeptMoves {
  /** Of packs of which slots moved, ascending; and where what moved of each begins. */
  readonly ordinals: Uint32Array;
  readonly #starts: Float64Array;
  readonly #bytes: Uint8Array;

  constructor(
    ordinals: Uint32Array = new Uint32Array(0),
    counts: Uint32Array = new Uint32Array(0),
    bytes: Uint8Array = new Uint8Array(0),
  ) {
    this.ordinals = ordinals;
    this.#bytes = bytes;
    this.#starts = new Float64Array(ordinals.length + 1);
    for (let i = 0; i < counts.length; i += 1)
      this.#starts[i + 1] = this.#starts[i]! + counts[i]! * MOVED_BYTES;
  }

  /** What moved of a pack; null: nothing did. O(log packs). */
  of(ordinal: number): MovedSlots | null {
    const bytes = this.bytesOf(ordinal);
    if (bytes === null) return null;
    const placesAt = (bytes.length / MOVED_BYTES) * SLOT_BYTES;
    return {
      slots: new Uint16Array(bytes.slice(0, placesAt).buffer),
      places: new Float64Array(bytes.slice(placesAt).buffer),
    };
  }

  /** The same as it lies. */
  bytesOf(ordinal: number): Uint8Array | null {
    const at = lastWhere(this.ordinals.length, (i) => this.ordinals[i]! <= ordinal);
    if (at < 0 || this.ordinals[at] !== ordinal) return null;
    return this.#bytes.subarray(this.#starts[at], this.#starts[at + 1]);
  }

  /** Writes what moved of packs, in the order of their ordinals. */
  static write(
    writer: StateWriter,
    ordinals: Uint32Array,
    of: (ordinal: number) => MovedSlots | Uint8Array,
  ): void {
    const parts: Uint8Array[] = [];
    const counts = Uint32Array.from(ordinals, (ordinal) => {
      const moved = of(ordinal);
      const columns = moved instanceof Uint8Array ? [moved] : [moved.slots, moved.places];
      let sizeBytes = 0;
      for (const { buffer, byteOffset, byteLength } of columns) {
        parts.push(new Uint8Array(buffer, byteOffset, byteLength));
        sizeBytes += byteLength;
      }
      return sizeBytes / MOVED_BYTES;
    });
    writer.column(ordinals).column(counts);
    writer.u32(parts.reduce((sum, { length }) => sum + length, 0));
    for (const part of parts) writer.raw(part);
  }

  /** What `write` wrote. StateUnfit where it is none. */
  static read(reader: StateReader): KeptMoves {
    const [ordinals, counts] = [reader.words(), reader.words()];
    const bytes = reader.part();
    let moved = 0;
    for (let i = 0; i < counts.length; i += 1) moved += counts[i]!;
    let isInOrder = true;
    for (let i = 1; i < ordinals.length; i += 1) isInOrder &&= ordinals[i]! > ordinals[i - 1]!;
    if (counts.length !== ordinals.length || moved * MOVED_BYTES !== bytes.length || !isInOrder)
      throw new StateUnfit('moved slots are uneven');
    return new KeptMoves(ordinals, counts, bytes);
  }
}
