// ORC: how whoever called is found from a place in a kernel's code, as the kernel keeps it for itself.
//
//   places    an i32 an entry: how far behind the i32 itself the code lies from which on the entry holds;
//             ascending
//   entries   6 bytes each: sp_offset i16, bp_offset i16, then 16 bits, of which the kernel's types say how
//             they are divided (struct orc_entry)
//
// The stack pointer that the caller had is sp_offset behind a register, or behind what lies where one
// leads. Kernels up to 6.3 mark with a bit that nobody called; later ones by the entry's kind.

import type { BitField, Btf } from './btf.ts';
import type { KernelSymbols } from './kallsyms.ts';
import type { VirtualMemory } from './virtual-memory.ts';
import { IMAGE_BASE } from './vmcoreinfo.ts';

const PLACE_BYTES = 4;
const ENTRY_BYTES = 6;
/** Kernels have half a million to a million. */
const ENTRIES_MAX = 2 ** 22;
const STRUCT = 'orc_entry';

/** What registers are called in an entry. */
export const ORC_REGISTER = {
  none: 0,
  /** Of where a register was kept: behind the caller's stack pointer. */
  previous: 1,
  dx: 2,
  di: 3,
  bp: 4,
  sp: 5,
  r10: 6,
  r13: 7,
  /** What lies where the sum of the register and the offset leads. */
  bpIndirect: 8,
  /** What lies where the register leads, and the offset behind that. */
  spIndirect: 9,
} as const;

/** How one gets to the caller: not at all; by a call; by an interrupt that kept all registers, or few. */
export type OrcKind = 'unknown' | 'outermost' | 'call' | 'registers' | 'interrupt';

export interface OrcEntry {
  readonly kind: OrcKind;
  readonly spRegister: number;
  readonly spOffset: number;
  readonly bpRegister: number;
  readonly bpOffset: number;
}

const OLD_KINDS: readonly OrcKind[] = ['call', 'registers', 'interrupt'];
const NEW_KINDS: readonly OrcKind[] = ['unknown', 'outermost', 'call', 'registers', 'interrupt'];

/** Where the parts of an entry's last 16 bits lie. */
interface OrcLayout {
  readonly spRegister: BitField;
  readonly bpRegister: BitField;
  readonly type: BitField;
  /** Null: the type says so. */
  readonly end: BitField | null;
}

const NOTHING: OrcEntry = {
  kind: 'unknown',
  spRegister: 0,
  spOffset: 0,
  bpRegister: 0,
  bpOffset: 0,
};

/** The layout that the kernel's types tell; null: it is none that is known here. */
function layoutOf(btf: Btf): OrcLayout | null {
  const isKnown =
    btf.sizeOf(STRUCT) === ENTRY_BYTES &&
    btf.offsetOf(STRUCT, 'sp_offset') === 0 &&
    btf.offsetOf(STRUCT, 'bp_offset') === 2;
  if (!isKnown) return null;
  const part = (name: string): BitField | null => {
    const found = btf.bitsOf(STRUCT, name);
    return found === null || found.at < 32 || found.at + found.bits > 48 ? null : found;
  };
  const [spRegister, bpRegister] = [part('sp_reg'), part('bp_reg')];
  const [type, end] = [part('type'), part('end')];
  if (spRegister === null || bpRegister === null || type === null) return null;
  return { spRegister, bpRegister, type, end };
}

export class Orc {
  /** Where each entry begins to hold: bytes behind the base of kernel images, ascending. */
  readonly places: Float64Array;
  readonly #entries: DataView;
  readonly #layout: OrcLayout;

  private constructor(places: Float64Array, entries: DataView, layout: OrcLayout) {
    this.places = places;
    this.#entries = entries;
    this.#layout = layout;
  }

  /** A kernel's; null: it keeps none, hides it, or what it keeps is none that is known here. */
  static async read(memory: VirtualMemory, symbols: KernelSymbols, btf: Btf): Promise<Orc | null> {
    const layout = layoutOf(btf);
    if (layout === null) return null;
    const table = async (name: string, entryBytes: number): Promise<DataView | null> => {
      const from = symbols.addressOf(`__start_${name}`);
      const to = symbols.addressOf(`__stop_${name}`);
      if (from === null || to === null || to <= from) return null;
      if (to - from > BigInt(ENTRIES_MAX * entryBytes)) return null;
      const bytes = await memory.tryRead(from, Number(to - from));
      return bytes === null ? null : new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    };
    const [offsets, entries] = [
      await table('orc_unwind_ip', PLACE_BYTES),
      await table('orc_unwind', ENTRY_BYTES),
    ];
    if (offsets === null || entries === null) return null;
    const count = offsets.byteLength / PLACE_BYTES;
    if (entries.byteLength !== count * ENTRY_BYTES) return null;
    const from = Number(symbols.addressOf('__start_orc_unwind_ip')! - IMAGE_BASE);
    const places = Float64Array.from(
      { length: count },
      (_, i) => from + i * PLACE_BYTES + offsets.getInt32(i * PLACE_BYTES, true),
    );
    const isAscending = places.every((place, i) => i === 0 || places[i - 1]! <= place);
    return isAscending ? new Orc(places, entries, layout) : null;
  }

  /** An entry by its number; before the first one nothing is known. */
  entry(index: number): OrcEntry {
    if (index < 0) return NOTHING;
    const at = index * ENTRY_BYTES;
    const flags = this.#entries.getUint16(at + 4, true);
    const part = ({ at: bit, bits }: BitField): number => (flags >>> (bit - 32)) & (2 ** bits - 1);
    const { spRegister, bpRegister, type, end } = this.#layout;
    const kinds = end === null ? NEW_KINDS : OLD_KINDS;
    const isEnd = end !== null && part(end) === 1;
    return {
      kind: isEnd ? 'outermost' : (kinds[part(type)] ?? 'unknown'),
      spRegister: part(spRegister),
      spOffset: this.#entries.getInt16(at, true),
      bpRegister: part(bpRegister),
      bpOffset: this.#entries.getInt16(at + 2, true),
    };
  }
}
