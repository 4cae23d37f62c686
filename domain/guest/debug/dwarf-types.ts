// A kernel's types (BTF) as debuggers read types (DWARF): an entry each, in the order of their numbers.
// Kinds that are no types have none; a tag of a type is the type itself. .debug_str begins with BTF's own
// strings, so a name is where it was.

import { KIND, type BtfTypes } from '../btf-types.ts';
import { invalid } from '../guest-failures.ts';
import type { ShapeName } from './dwarf-shapes.ts';
import type { DwarfUnit } from './dwarf-unit.ts';

const POINTER_BYTES = 8;
const ENCODING = { boolean: 2, float: 4, signed: 5, signedChar: 6, unsigned: 7, unsignedChar: 8 };
/** Bits of BTF's own encoding. */
const [SIGNED, CHAR, BOOLEAN] = [1, 2, 4];
/** What BTF says of characters, it says of small numbers too. */
const CHARACTERS: readonly string[] = ['char', 'signed char', 'unsigned char'];
const TAGS_MAX = 16;

/** Other names for a type, and what is said of one. */
const QUALIFIERS: Readonly<Partial<Record<number, ShapeName>>> = {
  [KIND.typedef]: 'typedef',
  [KIND.const]: 'const',
  [KIND.volatile]: 'volatile',
  [KIND.restrict]: 'restrict',
};

/** Kinds that have an entry. */
const TYPES: ReadonlySet<number> = new Set([
  KIND.int,
  KIND.float,
  KIND.pointer,
  KIND.array,
  KIND.struct,
  KIND.union,
  KIND.enum,
  KIND.enum64,
  KIND.forward,
  KIND.prototype,
  ...Object.keys(QUALIFIERS).map(Number),
]);

export class DwarfTypes {
  readonly #types: BtfTypes;
  readonly #unit: DwarfUnit;

  constructor(types: BtfTypes, unit: DwarfUnit) {
    this.#types = types;
    this.#unit = unit;
  }

  /** Writes all of them; gives how many. GUEST_INVALID. */
  write(): number {
    let written = 0;
    for (let type = 1; type < this.#types.end; type += 1) {
      if (!TYPES.has(this.#types.kind(type))) continue;
      this.#write(type);
      written += 1;
    }
    return written;
  }

  /** The number of a type that has an entry; 0: none, as of what returns nothing. */
  entryOf(type: number): number {
    const types = this.#types;
    let meant = type;
    for (let tags = 0; tags < TAGS_MAX; tags += 1) {
      if (meant >= types.end) throw invalid(`BTF has no type ${meant}`);
      if (meant === 0 || types.kind(meant) !== KIND.typeTag)
        return meant !== 0 && TYPES.has(types.kind(meant)) ? meant : 0;
      meant = types.sizeOrType(meant);
    }
    throw invalid('a type of BTF is a tag of itself');
  }

  #name(name: number): number {
    if (name !== 0) this.#types.textEnd(name);
    return name;
  }

  #write(type: number): void {
    const types = this.#types;
    const name = this.#name(types.name(type));
    switch (types.kind(type)) {
      case KIND.int:
      case KIND.float:
        this.#base(type, name);
        return;
      case KIND.pointer:
        this.#unit.typeEntry(type, 'pointer', { type: this.entryOf(types.sizeOrType(type)) });
        this.#unit.out.u8(POINTER_BYTES);
        return;
      case KIND.array:
        this.#array(type);
        return;
      case KIND.struct:
        this.#members(type, 'struct', name);
        return;
      case KIND.union:
        this.#members(type, 'union', name);
        return;
      case KIND.enum:
      case KIND.enum64:
        this.#enumeration(type, name);
        return;
      case KIND.forward:
        this.#unit.typeEntry(type, types.isFlagged(type) ? 'declaredUnion' : 'declaredStruct', {
          name,
        });
        return;
      case KIND.prototype:
        this.#prototype(type);
        return;
      default:
        this.#qualified(type, name);
    }
  }

  #base(type: number, name: number): void {
    const types = this.#types;
    this.#unit.typeEntry(type, 'base', { name });
    this.#unit.out.leb(types.sizeOrType(type));
    this.#unit.out.u8(types.kind(type) === KIND.float ? ENCODING.float : this.#encoding(type));
  }

  #encoding(type: number): number {
    const types = this.#types;
    const said = types.u32(types.rest(type)) >>> 24;
    const isSigned = (said & SIGNED) !== 0;
    if ((said & BOOLEAN) !== 0) return ENCODING.boolean;
    if ((said & CHAR) !== 0 || CHARACTERS.includes(types.text(types.name(type))))
      return isSigned ? ENCODING.signedChar : ENCODING.unsignedChar;
    return isSigned ? ENCODING.signed : ENCODING.unsigned;
  }

  #array(type: number): void {
    const types = this.#types;
    const rest = types.rest(type);
    const count = types.u32(rest + 8);
    this.#unit.typeEntry(type, 'array', { type: this.entryOf(types.u32(rest)) });
    // Of how many elements an array at the end of a structure has, C says nothing and BTF zero.
    this.#unit.entry(count === 0 ? 'noBound' : 'bound', {});
    if (count !== 0) this.#unit.out.leb(count);
    this.#unit.endChildren();
  }

  #members(type: number, shape: 'struct' | 'union', name: number): void {
    const types = this.#types;
    this.#unit.typeEntry(type, shape, { name });
    this.#unit.out.leb(types.sizeOrType(type));
    const isFlagged = types.isFlagged(type);
    for (let i = 0; i < types.count(type); i += 1) {
      const at = types.rest(type) + 12 * i;
      const member = { name: this.#name(types.u32(at)), type: this.entryOf(types.u32(at + 4)) };
      const place = types.u32(at + 8);
      const { size, offset } = isFlagged
        ? { size: place >>> 24, offset: place & 0xff_ffff }
        : this.#earlyBits(member.type, place);
      this.#unit.entry(size === 0 ? 'member' : 'bits', member);
      if (size === 0) this.#unit.out.leb(Math.floor(offset / 8));
      else {
        this.#unit.out.leb(size);
        this.#unit.out.leb(offset);
      }
    }
    this.#unit.endChildren();
  }

  /** Bits of a member whose type says that it has fewer than its bytes have; 0: all of them. */
  #earlyBits(type: number, place: number): { readonly size: number; readonly offset: number } {
    const types = this.#types;
    const meant = types.meant(type);
    if (meant === null || types.kind(meant) !== KIND.int) return { size: 0, offset: place };
    const said = types.u32(types.rest(meant));
    const [within, bits] = [(said >>> 16) & 0xff, said & 0xff];
    const isWhole = within === 0 && bits === 8 * types.sizeOrType(meant);
    return isWhole ? { size: 0, offset: place } : { size: bits, offset: place + within };
  }

  #enumeration(type: number, name: number): void {
    const types = this.#types;
    const count = types.count(type);
    if (count === 0) {
      this.#unit.typeEntry(type, 'declaredEnumeration', { name });
      return;
    }
    this.#unit.typeEntry(type, 'enumeration', { name });
    this.#unit.out.leb(types.sizeOrType(type));
    const isLong = types.kind(type) === KIND.enum64;
    const isSigned = types.isFlagged(type);
    for (let i = 0; i < count; i += 1) {
      const at = types.rest(type) + (isLong ? 12 : 8) * i;
      const named = { name: this.#name(types.u32(at)) };
      const high = isLong ? BigInt(types.u32(at + 8)) << 32n : 0n;
      const value = high + BigInt(types.u32(at + 4));
      this.#unit.entry(isSigned ? 'signedEnumerator' : 'enumerator', named);
      if (isSigned) this.#unit.out.signedLeb(BigInt.asIntN(isLong ? 64 : 32, value));
      else this.#unit.out.longLeb(value);
    }
    this.#unit.endChildren();
  }

  #prototype(type: number): void {
    const types = this.#types;
    const result = this.entryOf(types.sizeOrType(type));
    this.#unit.typeEntry(type, 'prototype', { type: result });
    this.writeParameters(type);
    this.#unit.endChildren();
  }

  /** Writes the parameters of a prototype. */
  writeParameters(prototype: number): void {
    const types = this.#types;
    for (let i = 0; i < types.count(prototype); i += 1) {
      const at = types.rest(prototype) + 8 * i;
      const type = types.u32(at + 4);
      const isOpen = type === 0 && i === types.count(prototype) - 1;
      if (isOpen) this.#unit.entry('moreParameters', {});
      else
        this.#unit.entry('parameter', {
          name: this.#name(types.u32(at)),
          type: this.entryOf(type),
        });
    }
  }

  #qualified(type: number, name: number): void {
    const types = this.#types;
    // Also where it is a name for itself, of which a debugger would find no end.
    types.meant(type);
    this.#unit.typeEntry(type, QUALIFIERS[types.kind(type)]!, {
      name,
      type: this.entryOf(types.sizeOrType(type)),
    });
  }
}
