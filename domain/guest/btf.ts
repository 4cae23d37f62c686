// BTF: the types of a kernel, as it keeps them for itself.
//
//   header   magic 0xeb9f u16, version 1 u8, flags u8, header's length u32, then of the types and of the
//            strings: offset behind the header u32, length u32
//   type     name u32 (an offset into the strings), info u32 (low 16 bits: number of members; bits 24 to
//            28: kind; bit 31: a flag), size or type u32; then what its kind has
//   member   name u32, type u32, offset in bits u32 (with the flag: its low 24 bits)
//
// Types are numbered from 1 in the order in which they lie; 0 is void.

import { invalid, undescribed } from './guest-failures.ts';

const MAGIC = 0xeb9f;
const HEADER_BYTES = 24;
const TYPE_BYTES = 12;
const MEMBER_BYTES = 12;
const ENUMERATOR_BYTES = 8;
/** Kernels have 4 to 8 MiB. */
export const BTF_BYTES_MAX = 64 * 1024 * 1024;
/** Names for names that a type may be behind. */
const DEPTH_MAX = 16;
/** Types without a name that are looked into for a field. */
const NESTED_MAX = 256;

const KIND = {
  array: 3,
  struct: 4,
  union: 5,
  enum: 6,
  typedef: 8,
  volatile: 9,
  const: 10,
  restrict: 11,
  typeTag: 18,
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

/** A field: where it is in its structure, and of which type. */
interface Field {
  readonly offset: number;
  readonly type: number;
}

export class Btf {
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  readonly #stringsAt: number;
  readonly #stringsEnd: number;
  /** Where each type lies. */
  readonly #places: Uint32Array;
  readonly #structs = new Map<string, number>();
  readonly #enumerators = new Map<string, number>();

  /** Reads all types once. GUEST_INVALID. */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (bytes.length < HEADER_BYTES || this.#view.getUint16(0, true) !== MAGIC)
      throw invalid('its BTF does not begin as BTF');
    const header = this.#u32(4);
    const part = (at: number): readonly [number, number] => {
      const from = header + this.#u32(at);
      const end = from + this.#u32(at + 4);
      if (header < HEADER_BYTES || end > bytes.length) throw invalid('a part of BTF is not in it');
      return [from, end];
    };
    [this.#stringsAt, this.#stringsEnd] = part(16);
    this.#places = this.#placesIn(...part(8));
    this.#index();
  }

  #u32(at: number): number {
    return this.#view.getUint32(at, true);
  }

  #placesIn(from: number, end: number): Uint32Array {
    const places = new Uint32Array(1 + Math.floor((end - from) / TYPE_BYTES));
    let count = 1;
    for (let at = from; at < end; count += 1) {
      if (at + TYPE_BYTES > end) throw invalid('a type of BTF is cut');
      const info = this.#u32(at + 4);
      const kind = (info >>> 24) & 31;
      if (kind === 0 || kind > KIND_MAX) throw invalid(`BTF has a type of the kind ${kind}`);
      places[count] = at;
      at += TYPE_BYTES + (FIXED_BYTES[kind] ?? 0) + (EACH_BYTES[kind] ?? 0) * (info & 0xffff);
      if (at > end) throw invalid('a type of BTF is cut');
    }
    return places.subarray(0, count);
  }

  #index(): void {
    for (let type = 1; type < this.#places.length; type += 1) {
      const kind = this.#kind(type);
      const name = this.#u32(this.#places[type]!);
      if (kind === KIND.enum) this.#indexEnum(type);
      if ((kind !== KIND.struct && kind !== KIND.union) || name === 0) continue;
      const text = this.#string(name);
      if (!this.#structs.has(text)) this.#structs.set(text, type);
    }
  }

  #indexEnum(type: number): void {
    const at = this.#places[type]! + TYPE_BYTES;
    for (let i = 0; i < this.#count(type); i += 1) {
      const name = this.#string(this.#u32(at + i * ENUMERATOR_BYTES));
      if (!this.#enumerators.has(name))
        this.#enumerators.set(name, this.#u32(at + i * ENUMERATOR_BYTES + 4));
    }
  }

  #kind(type: number): number {
    return (this.#u32(this.#places[type]! + 4) >>> 24) & 31;
  }

  #count(type: number): number {
    return this.#u32(this.#places[type]! + 4) & 0xffff;
  }

  #string(offset: number): string {
    const from = this.#stringsAt + offset;
    const end = this.#bytes.indexOf(0, from);
    if (from >= this.#stringsEnd || end < 0 || end >= this.#stringsEnd)
      throw invalid('a name of BTF is not in it');
    return new TextDecoder('latin1').decode(this.#bytes.subarray(from, end));
  }

  /** The type behind other names for it; null: there is none. */
  #meant(type: number): number | null {
    let meant = type;
    for (let depth = 0; depth < DEPTH_MAX; depth += 1) {
      if (meant <= 0 || meant >= this.#places.length) return null;
      if (!ALIASES.includes(this.#kind(meant))) return meant;
      meant = this.#u32(this.#places[meant]! + 8);
    }
    throw invalid('a type of BTF is another name for itself');
  }

  /** The value of an enumerator; null: there is none. */
  enumerator(name: string): number | null {
    return this.#enumerators.get(name) ?? null;
  }

  /** Bytes of a structure; null: there is none of this name. */
  sizeOf(struct: string): number | null {
    const type = this.#structs.get(struct);
    return type === undefined ? null : this.#u32(this.#places[type]! + 8);
  }

  /** Where a field lies in a structure of a name, in bytes; null: there is none. */
  offsetOf(struct: string, ...path: readonly string[]): number | null {
    return this.#along(struct, path)?.offset ?? null;
  }

  /** Bytes of the elements of a field that is an array; null: it is none. */
  elementBytes(struct: string, ...path: readonly string[]): number | null {
    const field = this.#along(struct, path);
    const type = field === null ? null : this.#meant(field.type);
    if (type === null || this.#kind(type) !== KIND.array) return null;
    const element = this.#meant(this.#u32(this.#places[type]! + TYPE_BYTES));
    if (element === null) return null;
    return this.#kind(element) === KIND.array ? null : this.#u32(this.#places[element]! + 8);
  }

  #along(struct: string, path: readonly string[]): Field | null {
    const first = this.#structs.get(struct);
    if (first === undefined) return null;
    let field: Field = { offset: 0, type: first };
    for (const name of path) {
      const inner = this.#fieldOf(field.type, name, new Set());
      if (inner === null) return null;
      field = { offset: field.offset + inner.offset, type: inner.type };
    }
    return field;
  }

  /**
   * A field of a type, also of its members without a name, which may nest. No type is looked into
   * twice, so that one which is a member of itself ends.
   */
  #fieldOf(type: number, name: string, seen: Set<number>): Field | null {
    const meant = this.#meant(type);
    if (meant === null || seen.has(meant)) return null;
    seen.add(meant);
    const kind = this.#kind(meant);
    if (kind !== KIND.struct && kind !== KIND.union) return null;
    const place = this.#places[meant]!;
    const hasBitFields = this.#u32(place + 4) >>> 31 === 1;
    for (let i = 0; i < this.#count(meant); i += 1) {
      const at = place + TYPE_BYTES + i * MEMBER_BYTES;
      const [named, inner, bits] = [this.#u32(at), this.#u32(at + 4), this.#u32(at + 8)];
      const offset = Math.floor((hasBitFields ? bits & 0xff_ffff : bits) / 8);
      if (named !== 0) {
        if (this.#string(named) === name) return { offset, type: inner };
        continue;
      }
      const found = seen.size > NESTED_MAX ? null : this.#fieldOf(inner, name, seen);
      if (found !== null) return { offset: offset + found.offset, type: found.type };
    }
    return null;
  }
}

/** A field's place that is needed. GUEST_UNDESCRIBED where the types have none. */
export function requiredField(btf: Btf, struct: string, ...path: readonly string[]): number {
  const offset = btf.offsetOf(struct, ...path);
  if (offset !== null) return offset;
  throw undescribed(`the kernel's types (BTF) have no ${struct}.${path.join('.')}`, {
    field: `${struct}.${path.join('.')}`,
  });
}
