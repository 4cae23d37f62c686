// Functions of a kernel with their parameters and addresses, as debuggers read them (DWARF): those of which
// BTF has the prototype and the symbols one address.

import { KIND, type BtfTypes } from '../btf-types.ts';
import type { DwarfTypes } from './dwarf-types.ts';
import type { DwarfUnit } from './dwarf-unit.ts';
import type { SymbolPlaces } from './symbol-places.ts';

const GLOBAL = 1;

/** Writes them; gives how many. GUEST_INVALID. */
export function writeFunctions(
  types: BtfTypes,
  entries: DwarfTypes,
  of: { readonly unit: DwarfUnit; readonly places: SymbolPlaces },
): number {
  const { unit, places } = of;
  const written = new Set<string>();
  for (let type = 1; type < types.end; type += 1) {
    if (types.kind(type) !== KIND.function) continue;
    const [name, prototype] = [types.name(type), entries.entryOf(types.sizeOrType(type))];
    const text = name === 0 ? '' : types.text(name);
    const place = text === '' || written.has(text) ? null : places.soleOf(text);
    if (place === null || place.bytes === 0) continue;
    if (prototype === 0 || types.kind(prototype) !== KIND.prototype) continue;
    const result = entries.entryOf(types.sizeOrType(prototype));
    // Of a function, what else counts members says whether it is seen outside of its file.
    unit.entry(types.count(type) === GLOBAL ? 'function' : 'staticFunction', {
      name,
      type: result,
    });
    unit.out.u64(place.address);
    unit.out.leb(place.bytes);
    entries.writeParameters(prototype);
    unit.endChildren();
    written.add(text);
  }
  return written.size;
}
