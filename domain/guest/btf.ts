// What is asked of a kernel's types: where fields lie, how large structures are, what enumerators stand
// for.

import { BtfTypes, KIND } from './btf-types.ts';
import { invalid, undescribed } from './guest-failures.ts';

const MEMBER_BYTES = 12;
const ENUMERATOR_BYTES = 8;
/** Kernels have 4 to 8 MiB. */
export const BTF_BYTES_MAX = 64 * 1024 * 1024;
/** Of all names that are asked for: kernels have less than a tenth. */
const NAMES_BYTES_MAX = 16 * 1024 * 1024;
/** Types without a name that are looked into for a field. */
const NESTED_MAX = 256;

/** A field: where it is in its structure, and of which type. */
interface Field {
  readonly offset: number;
  readonly type: number;
}

/** Bits of a structure: where they begin, and how many. */
export interface BitField {
  readonly at: number;
  readonly bits: number;
}

export class Btf {
  readonly types: BtfTypes;
  readonly #structs = new Map<string, number>();
  readonly #enumerators = new Map<string, number>();
  #namesBytes = 0;

  /** Reads all types once. GUEST_INVALID. */
  constructor(bytes: Uint8Array) {
    this.types = new BtfTypes(bytes);
    for (let type = 1; type < this.types.end; type += 1) this.#index(type);
  }

  #index(type: number): void {
    const { types } = this;
    const kind = types.kind(type);
    if (kind === KIND.enum) this.#indexEnum(type);
    if ((kind !== KIND.struct && kind !== KIND.union) || types.name(type) === 0) return;
    const text = this.#text(types.name(type));
    if (!this.#structs.has(text)) this.#structs.set(text, type);
  }

  #text(name: number): string {
    const text = this.types.text(name);
    this.#namesBytes += text.length;
    if (this.#namesBytes > NAMES_BYTES_MAX) throw invalid('the names in BTF are too long');
    return text;
  }

  #indexEnum(type: number): void {
    const { types } = this;
    for (let i = 0; i < types.count(type); i += 1) {
      const at = types.rest(type) + i * ENUMERATOR_BYTES;
      const name = this.#text(types.u32(at));
      if (!this.#enumerators.has(name)) this.#enumerators.set(name, types.u32(at + 4));
    }
  }

  /** The value of an enumerator; null: there is none. */
  enumerator(name: string): number | null {
    return this.#enumerators.get(name) ?? null;
  }

  /** Bytes of a structure; null: there is none of this name. */
  sizeOf(struct: string): number | null {
    const type = this.#structs.get(struct);
    return type === undefined ? null : this.types.sizeOrType(type);
  }

  /** Where a field lies in a structure of a name, in bytes; null: there is none. */
  offsetOf(struct: string, ...path: readonly string[]): number | null {
    return this.#along(struct, path)?.offset ?? null;
  }

  /** Bytes of the elements of a field that is an array; null: it is none. */
  elementBytes(struct: string, ...path: readonly string[]): number | null {
    const { types } = this;
    const field = this.#along(struct, path);
    const type = field === null ? null : types.meant(field.type);
    if (type === null || types.kind(type) !== KIND.array) return null;
    const element = types.meant(types.u32(types.rest(type)));
    if (element === null) return null;
    return types.kind(element) === KIND.array ? null : types.sizeOrType(element);
  }

  /** Where a member lies in a structure of a name, in bits; null: it has none, or one of another kind. */
  bitsOf(struct: string, name: string): BitField | null {
    const { types } = this;
    const type = this.#structs.get(struct);
    if (type === undefined) return null;
    const wanted = new TextEncoder().encode(`${name}\0`);
    for (let i = 0; i < types.count(type); i += 1) {
      const at = types.rest(type) + i * MEMBER_BYTES;
      if (!types.isNamed(types.u32(at), wanted)) continue;
      const place = types.u32(at + 8);
      if (types.isFlagged(type) && place >>> 24 !== 0)
        return { at: place & 0xff_ffff, bits: place >>> 24 };
      const meant = types.meant(types.u32(at + 4));
      if (meant === null || types.kind(meant) !== KIND.int) return null;
      // Kernels before 4.20 say it by a number of so many bits.
      const encoding = types.u32(types.rest(meant));
      return { at: (place & 0xff_ffff) + ((encoding >>> 16) & 0xff), bits: encoding & 0xff };
    }
    return null;
  }

  #along(struct: string, path: readonly string[]): Field | null {
    const first = this.#structs.get(struct);
    if (first === undefined) return null;
    let field: Field = { offset: 0, type: first };
    for (const name of path) {
      const wanted = new TextEncoder().encode(`${name}\0`);
      const inner = this.#fieldOf(field.type, wanted, new Set());
      if (inner === null) return null;
      field = { offset: field.offset + inner.offset, type: inner.type };
    }
    return field;
  }

  /**
   * A field of a type, also of its members without a name, which may nest. No type is looked into
   * twice, so that one which is a member of itself ends.
   */
  #fieldOf(type: number, name: Uint8Array, seen: Set<number>): Field | null {
    const { types } = this;
    const meant = types.meant(type);
    if (meant === null || seen.has(meant)) return null;
    seen.add(meant);
    const kind = types.kind(meant);
    if (kind !== KIND.struct && kind !== KIND.union) return null;
    const hasBitFields = types.isFlagged(meant);
    for (let i = 0; i < types.count(meant); i += 1) {
      const at = types.rest(meant) + i * MEMBER_BYTES;
      const [named, inner, bits] = [types.u32(at), types.u32(at + 4), types.u32(at + 8)];
      const offset = Math.floor((hasBitFields ? bits & 0xff_ffff : bits) / 8);
      if (named !== 0) {
        if (types.isNamed(named, name)) return { offset, type: inner };
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
