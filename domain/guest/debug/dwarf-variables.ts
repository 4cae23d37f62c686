// Variables of a kernel with their types and addresses, as debuggers read them (DWARF).

import { assert } from '../../values/assert.ts';
import { KIND, type BtfTypes } from '../btf-types.ts';
import type { DwarfTypes } from './dwarf-types.ts';
import type { DwarfUnit } from './dwarf-unit.ts';
import { KNOWN_VARIABLES } from './known-variables.ts';
import type { SymbolPlace, SymbolPlaces } from './symbol-places.ts';

/** An expression that is an address: this, then 8 bytes. */
const ADDRESS = 0x03;
const EXPRESSION_BYTES = 9;
const POINTER_BYTES = 8;
/** Types beyond those of BTF that variables may need: pointers and arrays. */
export const MADE_TYPES_MAX = 4 * KNOWN_VARIABLES.length;

/** How a type is called in a declaration; empty: it has no name. */
function typeName(types: BtfTypes, type: number): string {
  const name = types.name(type) === 0 ? '' : types.text(types.name(type));
  if (name === '') return '';
  switch (types.kind(type)) {
    case KIND.struct:
      return `struct ${name}`;
    case KIND.int:
    case KIND.typedef:
      return name;
    default:
      return '';
  }
}

export class DwarfVariables {
  readonly #types: BtfTypes;
  readonly #entries: DwarfTypes;
  readonly #unit: DwarfUnit;
  /** Variables that have an entry. */
  readonly #written = new Set<string>();
  #made: number;

  constructor(types: BtfTypes, entries: DwarfTypes, unit: DwarfUnit) {
    this.#types = types;
    this.#entries = entries;
    this.#unit = unit;
    this.#made = types.end;
  }

  /**
   * Writes those that BTF has, then known ones; gives how many. `nameAt` gives the place of a name that
   * BTF's strings do not have. GUEST_INVALID.
   */
  write(of: { readonly places: SymbolPlaces; readonly nameAt: (name: string) => number }): number {
    const types = this.#types;
    for (let type = 1; type < types.end; type += 1) {
      if (types.kind(type) !== KIND.variable || types.name(type) === 0) continue;
      const text = types.text(types.name(type));
      const place = of.places.of(text);
      if (place === null || this.#written.has(text)) continue;
      this.#variable(types.name(type), this.#entries.entryOf(types.sizeOrType(type)), place);
      this.#written.add(text);
    }
    const byName = this.#wantedTypes();
    for (const { name, type, pointers, isArray } of KNOWN_VARIABLES) {
      const [place, base] = [of.places.of(name), byName.get(type)];
      if (place === null || base === undefined || this.#written.has(name)) continue;
      let made = base;
      for (let i = 0; i < pointers; i += 1) made = this.#pointerTo(made);
      this.#variable(of.nameAt(name), isArray ? this.#arrayOf(made) : made, place);
      this.#written.add(name);
    }
    return this.#written.size;
  }

  /** Numbers of the types that known variables have. */
  #wantedTypes(): ReadonlyMap<string, number> {
    const wanted = new Set(KNOWN_VARIABLES.map(({ type }) => type));
    const found = new Map<string, number>();
    for (let type = 1; type < this.#types.end; type += 1) {
      const name = typeName(this.#types, type);
      if (wanted.has(name) && !found.has(name)) found.set(name, type);
    }
    return found;
  }

  #variable(name: number, type: number, { address }: SymbolPlace): void {
    this.#unit.entry('variable', { name, type });
    this.#unit.out.leb(EXPRESSION_BYTES);
    this.#unit.out.u8(ADDRESS);
    this.#unit.out.u64(address);
  }

  #number(): number {
    assert(this.#made < this.#types.end + MADE_TYPES_MAX, 'known variables have so few types');
    this.#made += 1;
    return this.#made - 1;
  }

  #pointerTo(type: number): number {
    const number = this.#number();
    this.#unit.typeEntry(number, 'pointer', { type });
    this.#unit.out.u8(POINTER_BYTES);
    return number;
  }

  #arrayOf(type: number): number {
    const number = this.#number();
    this.#unit.typeEntry(number, 'array', { type });
    this.#unit.entry('noBound', {});
    this.#unit.endChildren();
    return number;
  }
}
