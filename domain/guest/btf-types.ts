// BTF: the types of a kernel, as it keeps them for itself.
//
//   header   magic 0xeb9f u16, version 1 u8, flags u8, header's length u32, then of the types and of the
//            strings: offset behind the header u32, length u32
//   type     name u32 (an offset into the strings), info u32 (low 16 bits: number of members; bits 24 to
//            28: kind; bit 31: a flag), size or type u32; then what its kind has
//   member   name u32, type u32, offset in bits u32 (with the flag: its low 24 bits)
//
// Types are numbered from 1 in the order in which they lie; 0 is void.

import { invalid } from './guest-failures.ts';

const MAGIC = 0xeb9f;
const HEADER_BYTES = 24;
const TYPE_BYTES = 12;
/** Names that kernels have are below 512. */
const NAME_BYTES_MAX = 1024;
/** Names for names that a type may be behind. */
const DEPTH_MAX = 16;

export const KIND = {
  int: 1,
  pointer: 2,
  array: 3,
  struct: 4,
  union: 5,
  enum: 6,
  forward: 7,
  typedef: 8,
  volatile: 9,
  const: 10,
  restrict: 11,
  function: 12,
  prototype: 13,
  variable: 14,
  float: 16,
  typeTag: 18,
  enum64: 19,
} as const;
/** Other names for a type. */
const ALIASES: readonly number[] = [
  KIND.typedef,
  KIND.volatile,
  KIND.const,
  KIND.restrict,
  KIND.typeTag,
];

/** Bytes behind a type: of its kind, and a member. */
const FIXED_BYTES: Readonly<Record<number, number>> = { 1: 4, 3: 12, 14: 4, 17: 4 };
const EACH_BYTES: Readonly<Record<number, number>> = { 4: 12, 5: 12, 6: 8, 13: 8, 15: 12, 19: 12 };
const KIND_MAX = 19;

/** Types as they lie, by number. */
export class BtfTypes {
  readonly #view: DataView;
  /** All names, each ended by a zero; the first is empty. */
  readonly strings: Uint8Array;
  /** Where each type lies. */
  readonly #places: Uint32Array;

  /** Looks at each type once. GUEST_INVALID. */
  constructor(bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (bytes.length < HEADER_BYTES || this.#view.getUint16(0, true) !== MAGIC)
      throw invalid('its BTF does not begin as BTF');
    const header = this.u32(4);
    const part = (at: number): readonly [number, number] => {
      const from = header + this.u32(at);
      const end = from + this.u32(at + 4);
      if (header < HEADER_BYTES || end > bytes.length) throw invalid('a part of BTF is not in it');
      return [from, end];
    };
    this.strings = bytes.subarray(...part(16));
    this.#places = this.#placesIn(...part(8));
  }

  /** One past the last type's number. */
  get end(): number {
    return this.#places.length;
  }

  u32(at: number): number {
    return this.#view.getUint32(at, true);
  }

  #placesIn(from: number, end: number): Uint32Array {
    const places = new Uint32Array(1 + Math.floor((end - from) / TYPE_BYTES));
    let count = 1;
    for (let at = from; at < end; count += 1) {
      if (at + TYPE_BYTES > end) throw invalid('a type of BTF is cut');
      const info = this.u32(at + 4);
      const kind = (info >>> 24) & 31;
      if (kind === 0 || kind > KIND_MAX) throw invalid(`BTF has a type of the kind ${kind}`);
      places[count] = at;
      at += TYPE_BYTES + (FIXED_BYTES[kind] ?? 0) + (EACH_BYTES[kind] ?? 0) * (info & 0xffff);
      if (at > end) throw invalid('a type of BTF is cut');
    }
    return places.subarray(0, count);
  }

  kind(type: number): number {
    return (this.u32(this.#places[type]! + 4) >>> 24) & 31;
  }

  /** The number of its members, enumerators or parameters. */
  count(type: number): number {
    return this.u32(this.#places[type]! + 4) & 0xffff;
  }

  /** What it means depends on the kind. */
  isFlagged(type: number): boolean {
    return this.u32(this.#places[type]! + 4) >>> 31 === 1;
  }

  /** Where its name lies in the strings; 0: it has none. */
  name(type: number): number {
    return this.u32(this.#places[type]!);
  }

  /** Its size in bytes, or the type that it is made of. */
  sizeOrType(type: number): number {
    return this.u32(this.#places[type]! + 8);
  }

  /** Where what its kind has begins. */
  rest(type: number): number {
    return this.#places[type]! + TYPE_BYTES;
  }

  /** A name. GUEST_INVALID where it is not among the strings. */
  text(name: number): string {
    return new TextDecoder('latin1').decode(this.strings.subarray(name, this.textEnd(name)));
  }

  /** Where a name ends. GUEST_INVALID where it is not among the strings, or longer than names are. */
  textEnd(name: number): number {
    const length = this.strings.subarray(name, name + NAME_BYTES_MAX).indexOf(0);
    if (name >= this.strings.length || length < 0) throw invalid('a name of BTF is not in it');
    return name + length;
  }

  /** Whether a name is this one, which ends with a zero. */
  isNamed(name: number, wanted: Uint8Array): boolean {
    let same = 0;
    while (same < wanted.length && this.strings[name + same] === wanted[same]) same += 1;
    return same === wanted.length;
  }

  /** The type behind other names for it; null: there is none. GUEST_INVALID where there is no end. */
  meant(type: number): number | null {
    let meant = type;
    for (let depth = 0; depth < DEPTH_MAX; depth += 1) {
      if (meant <= 0 || meant >= this.end) return null;
      if (!ALIASES.includes(this.kind(meant))) return meant;
      meant = this.sizeOrType(meant);
    }
    throw invalid('a type of BTF is another name for itself');
  }
}
