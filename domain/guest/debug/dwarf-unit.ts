// A unit of DWARF 4 as it is written: entries one after the other. An entry may name a type that comes
// later; what stands there until the unit is whole is the type's number.
//
//   0   4  bytes that follow
//   4   2  version: 4
//   6   4  where its abbreviations begin: 0
//  10   1  bytes of an address: 8
//  11   -  entries, each ended, where it has children, by a zero

import { invalid } from '../guest-failures.ts';
import { codeOf, type ShapeName } from './dwarf-shapes.ts';
import { GrowingBytes } from './growing-bytes.ts';

const LENGTH_BYTES = 4;
const VERSION = 4;
const ADDRESS_BYTES = 8;
/** The place of a type that has no entry: none lies there. */
const NOWHERE = 0;
/** Names and sizes of 64 MiB of BTF make no more. */
const UNIT_BYTES_MAX = 256 * 1024 * 1024;

export class DwarfUnit {
  readonly out = new GrowingBytes();
  /** Where types are named. */
  readonly #references = new GrowingBytes();
  /** Where each type's entry begins. */
  readonly #places: Uint32Array;

  constructor(of: { readonly types: number }) {
    this.#places = new Uint32Array(of.types);
    this.out.u32(0);
    this.out.u16(VERSION);
    this.out.u32(0);
    this.out.u8(ADDRESS_BYTES);
  }

  /** Begins an entry; what else its shape has is the caller's to write. Numbers of 0: none. */
  entry(shape: ShapeName, of: { readonly name?: number; readonly type?: number }): void {
    const { name = 0, type = 0 } = of;
    if (this.out.length > UNIT_BYTES_MAX) throw invalid('its BTF has too many members');
    this.out.u8(codeOf(shape, name, type));
    if (name !== 0) this.out.u32(name);
    if (type === 0) return;
    this.#references.u32(this.out.length);
    this.out.u32(type);
  }

  /** The same, for a type of a number. */
  typeEntry(
    number: number,
    shape: ShapeName,
    of: { readonly name?: number; readonly type?: number },
  ): void {
    this.#places[number] = this.out.length;
    this.entry(shape, of);
  }

  /** Ends the children of an entry. */
  endChildren(): void {
    this.out.u8(0);
  }

  /** The whole unit. GUEST_INVALID where a type is named that is none. */
  whole(): Uint8Array {
    for (let i = 0; i < this.#references.length; i += 4) {
      const at = this.#references.getU32(i);
      const place = this.#places[this.out.getU32(at)] ?? NOWHERE;
      if (place === NOWHERE) throw invalid('BTF names a type that is none');
      this.out.setU32(at, place);
    }
    this.out.setU32(0, this.out.length - LENGTH_BYTES);
    return this.out.bytes();
  }
}
