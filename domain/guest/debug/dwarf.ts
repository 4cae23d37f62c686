// What a kernel says of its types, variables and functions, as DWARF: one unit, in which everything is.

import type { BtfTypes } from '../btf-types.ts';
import { writeFunctions } from './dwarf-functions.ts';
import { abbreviations } from './dwarf-shapes.ts';
import { DwarfTypes } from './dwarf-types.ts';
import { DwarfUnit } from './dwarf-unit.ts';
import { DwarfVariables, MADE_TYPES_MAX } from './dwarf-variables.ts';
import { GrowingBytes } from './growing-bytes.ts';
import type { SymbolPlaces } from './symbol-places.ts';

const LANGUAGE_C11 = 0x1d;
const PRODUCER = 'pageledger';

/** Sections of DWARF, and what is told of them. */
export interface Dwarf {
  /** .debug_info */
  readonly info: Uint8Array;
  /** .debug_abbrev */
  readonly abbreviations: Uint8Array;
  /** .debug_str */
  readonly strings: Uint8Array;
  readonly types: number;
  readonly variables: number;
  readonly functions: number;
}

/** Types, variables and functions of a kernel. O(bytes of its types). GUEST_INVALID. */
export function dwarfOf(
  types: BtfTypes,
  of: {
    /** What the unit is called. */
    readonly name: string;
    readonly places: SymbolPlaces;
  },
): Dwarf {
  const strings = new GrowingBytes();
  strings.put(types.strings);
  const nameAt = (name: string): number => {
    const at = strings.length;
    strings.text(name);
    return at;
  };
  const unit = new DwarfUnit({ types: types.end + MADE_TYPES_MAX });
  unit.entry('unit', { name: nameAt(of.name) });
  unit.out.u32(nameAt(PRODUCER));
  unit.out.u8(LANGUAGE_C11);
  unit.out.u64(of.places.image.address);
  unit.out.leb(of.places.image.bytes);
  const entries = new DwarfTypes(types, unit);
  const written = entries.write();
  const variables = new DwarfVariables(types, entries, unit);
  const found = variables.write({ places: of.places, nameAt });
  const functions = writeFunctions(types, entries, { unit, places: of.places });
  unit.endChildren();
  return {
    info: unit.whole(),
    abbreviations: abbreviations(),
    strings: strings.bytes(),
    types: written,
    variables: found,
    functions,
  };
}
