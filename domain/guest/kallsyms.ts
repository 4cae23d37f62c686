// kallsyms: the names and addresses of a kernel's functions and variables, as it keeps them for itself.
//
//   num_syms        u32
//   relative_base   u64
//   offsets         i32 a symbol
//   token_index     256 x u16, where each token begins in the table
//   token_table     tokens, each ended by a zero
//   names           a name each: its length (one byte; with bit 7 set, a second one of which 7 bits are
//                   above), then so many tokens; its first character is the symbol's kind
//
// An address is the offset where that is not negative (what is absolute), else base - 1 - offset; in
// kernels that know no absolute ones, base + offset as u32. Which it is, `_stext` tells, whose address
// VMCOREINFO has.

import { grown } from '../values/grown.ts';
import { PAGE_BYTES } from '../values/page.ts';
import { invalid, undescribed } from './guest-failures.ts';
import { toPageEnd, withinPage, type VirtualMemory } from './virtual-memory.ts';
import { IMAGE_BASE, requiredSymbol, type Vmcoreinfo } from './vmcoreinfo.ts';

const TOKENS = 256;
const TOKEN_INDEX_BYTES = 2 * TOKENS;
/** Kernels have a hundred thousand to two hundred thousand. */
export const SYMBOLS_MAX = 2 ** 20;
const NAME_BYTES_MAX = 512;
const TOKEN_TABLE_BYTES_MAX = 16 * 1024;
/** Of all names, with their tokens put in. */
const TEXT_BYTES_MAX = 64 * 1024 * 1024;
/** Names are read in pieces: where they end is known when they are decoded. */
const PIECE_BYTES = 256 * 1024;

/** A symbol of the kernel. */
export interface KernelSymbol {
  readonly name: string;
  readonly address: bigint;
  /** As `nm` has them: `T` code, `D` data, `B` zeroed data, `R` read-only; lower case: local. */
  readonly kind: string;
}

/** The symbols of a kernel in columns. */
export interface SymbolColumns {
  readonly addresses: BigUint64Array;
  /** All names one after the other, each after its kind. */
  readonly text: Uint8Array;
  /** Where each ends. */
  readonly ends: Uint32Array;
}

/** Others are numbers, or offsets into what each CPU has. */
const isInImage = (address: bigint): boolean => address >= IMAGE_BASE;

export class KernelSymbols {
  readonly columns: SymbolColumns;
  #byAddress: Uint32Array | null = null;

  constructor(columns: SymbolColumns) {
    this.columns = columns;
  }

  get count(): number {
    return this.columns.addresses.length;
  }

  /** A symbol by its number. */
  at(index: number): KernelSymbol {
    const { addresses, text, ends } = this.columns;
    const whole = new TextDecoder('latin1').decode(text.subarray(this.#start(index), ends[index]));
    return { name: whole.slice(1), address: addresses[index]!, kind: whole.slice(0, 1) };
  }

  #start(index: number): number {
    return index === 0 ? 0 : this.columns.ends[index - 1]!;
  }

  /** The number of the first symbol of a name, from one on; -1: there is none. O(symbols). */
  indexOf(name: string, from = 0): number {
    const wanted = Uint8Array.from(name, (character) => character.charCodeAt(0));
    const { text, ends } = this.columns;
    for (let i = from; i < this.count; i += 1) {
      const start = this.#start(i) + 1;
      if (ends[i]! - start !== wanted.length) continue;
      let same = 0;
      while (same < wanted.length && text[start + same] === wanted[same]) same += 1;
      if (same === wanted.length) return i;
    }
    return -1;
  }

  /** Symbols of a name: local ones may share one. */
  *named(name: string): Generator<KernelSymbol> {
    for (let i = this.indexOf(name); i >= 0; i = this.indexOf(name, i + 1)) yield this.at(i);
  }

  /** The address of the first symbol of a name; null: there is none. */
  addressOf(name: string): bigint | null {
    const index = this.indexOf(name);
    return index < 0 ? null : this.columns.addresses[index]!;
  }

  /**
   * The symbol that an address lies in: the one at it, or nearest below it where others follow. Null: there
   * is none, as before the first one of the kernel's image or of what each CPU has, or behind the last.
   */
  nearest(address: bigint): KernelSymbol | null {
    const { addresses } = this.columns;
    this.#byAddress ??= Uint32Array.from({ length: this.count }, (_, i) => i).toSorted((a, b) => {
      const [one, other] = [addresses[a]!, addresses[b]!];
      return one < other ? -1 : Number(one > other);
    });
    let low = 0;
    for (let high = this.count; low < high;) {
      const middle = (low + high) >>> 1;
      if (addresses[this.#byAddress[middle]!]! <= address) low = middle + 1;
      else high = middle;
    }
    if (low === 0) return null;
    const found = this.#byAddress[low - 1]!;
    const next = this.#byAddress[low];
    const isWithin =
      next !== undefined && isInImage(addresses[next]!) === isInImage(addresses[found]!);
    return isWithin || addresses[found] === address ? this.at(found) : null;
  }
}

/** The address of a variable of the kernel. GUEST_UNDESCRIBED where its symbols have none. */
export function requiredVariable(symbols: KernelSymbols, name: string): bigint {
  const address = symbols.addressOf(name);
  if (address !== null) return address;
  throw undescribed(`kallsyms has no ${name}: the kernel hides its variables`);
}

/** The tokens of names, as bytes. GUEST_INVALID where one does not end. */
function tokensIn(index: Uint8Array, table: Uint8Array): Uint8Array[] {
  const view = new DataView(index.buffer, index.byteOffset, TOKEN_INDEX_BYTES);
  return Array.from({ length: TOKENS }, (_, token) => {
    const from = view.getUint16(2 * token, true);
    const end = table.indexOf(0, from);
    if (end < from || end - from > NAME_BYTES_MAX)
      throw invalid(`token ${token} of kallsyms does not end`);
    return table.subarray(from, end);
  });
}

/** Puts names together from their tokens, taking more of them as it goes. */
class NameText {
  text = new Uint8Array(PIECE_BYTES);
  length = 0;
  readonly #tokens: readonly Uint8Array[];

  constructor(tokens: readonly Uint8Array[]) {
    this.#tokens = tokens;
  }

  add(codes: Uint8Array): void {
    const from = this.length;
    for (const code of codes) {
      const token = this.#tokens[code]!;
      if (this.length + token.length > this.text.length) this.#grow(token.length);
      this.text.set(token, this.length);
      this.length += token.length;
    }
    if (this.length - from > NAME_BYTES_MAX) throw invalid('a name in kallsyms is too long');
    if (this.length - from < 2) throw invalid('a name in kallsyms is empty');
  }

  #grow(more: number): void {
    if (this.length + more > TEXT_BYTES_MAX) throw invalid('the names in kallsyms are too long');
    this.text = grown(this.text, this.length + more);
  }
}

/** Names as they come out of pieces of memory; a name may lie in two. */
class NamePieces {
  readonly #memory: VirtualMemory;
  #next: bigint;
  #bytes: Uint8Array = new Uint8Array(0);
  #at = 0;
  #isEnd = false;

  constructor(memory: VirtualMemory, from: bigint) {
    this.#memory = memory;
    this.#next = from;
  }

  /** Whether the next name may not be at hand as a whole. */
  get isShort(): boolean {
    return !this.#isEnd && this.#at + 2 + NAME_BYTES_MAX > this.#bytes.length;
  }

  /** Reads on. */
  async fill(): Promise<void> {
    let piece: Uint8Array | null = null;
    // The names may end where mapped memory does.
    for (let length = PIECE_BYTES; piece === null && length >= PAGE_BYTES; length /= 4)
      piece = await this.#memory.tryRead(this.#next, length - withinPage(this.#next));
    this.#isEnd = piece === null;
    if (piece === null) return;
    const rest = this.#bytes.subarray(this.#at);
    const joined = new Uint8Array(rest.length + piece.length);
    joined.set(rest);
    joined.set(piece, rest.length);
    this.#next += BigInt(piece.length);
    this.#bytes = joined;
    this.#at = 0;
  }

  #byte(): number {
    const byte = this.#bytes[this.#at];
    if (byte === undefined) throw invalid('the names in kallsyms end too early');
    this.#at += 1;
    return byte;
  }

  /** The tokens of the next name; valid until the next is asked for. */
  take(): Uint8Array {
    let length = this.#byte();
    if ((length & 0x80) !== 0) length = (length & 0x7f) | (this.#byte() << 7);
    const end = this.#at + length;
    if (length === 0 || length > NAME_BYTES_MAX || end > this.#bytes.length)
      throw invalid(`a name in kallsyms is said to have ${length} tokens`);
    this.#at = end;
    return this.#bytes.subarray(end - length, end);
  }
}

/** Addresses of offsets, by the rule that gives `_stext` the one it has; null: none does. */
function addressesOf(of: {
  readonly offsets: DataView;
  readonly count: number;
  readonly base: bigint;
  readonly stext: { readonly index: number; readonly address: bigint };
}): BigUint64Array | null {
  const { offsets, count, base, stext } = of;
  if (stext.index < 0) return null;
  const absolute = (i: number): bigint => {
    const offset = BigInt(offsets.getInt32(4 * i, true));
    return offset >= 0n ? offset : BigInt.asUintN(64, base - 1n - offset);
  };
  const relative = (i: number): bigint =>
    BigInt.asUintN(64, base + BigInt(offsets.getUint32(4 * i, true)));
  const rule = [absolute, relative].find((each) => each(stext.index) === stext.address);
  if (rule === undefined) return null;
  const addresses = new BigUint64Array(count);
  for (let i = 0; i < count; i += 1) addresses[i] = rule(i);
  return addresses;
}

/** The symbols of a kernel. GUEST_UNDESCRIBED where VMCOREINFO does not say where; GUEST_INVALID. */
export async function readKallsyms(memory: VirtualMemory, of: Vmcoreinfo): Promise<KernelSymbols> {
  const place = (table: string): bigint => requiredSymbol(of, `kallsyms_${table}`);
  const count = await memory.u32(place('num_syms'), 'the number of symbols');
  if (count === 0 || count > SYMBOLS_MAX)
    throw invalid(`kallsyms is said to have ${count} symbols`);
  const base = await memory.u64(place('relative_base'), 'the base of kallsyms');
  const index = await memory.read(place('token_index'), TOKEN_INDEX_BYTES, 'an index of kallsyms');
  const tokens = tokensIn(index, await tokenTable(memory, place('token_table')));
  const stext = requiredSymbol(of, '_stext');
  const names = new NameText(tokens);
  const ends = new Uint32Array(count);
  const pieces = new NamePieces(memory, place('names'));
  for (let i = 0; i < count; i += 1) {
    if (pieces.isShort) await pieces.fill();
    names.add(pieces.take());
    ends[i] = names.length;
  }
  const offsets = await memory.read(place('offsets'), 4 * count, 'offsets of kallsyms');
  const text = names.text.slice(0, names.length);
  const unplaced = new KernelSymbols({ addresses: new BigUint64Array(count), text, ends });
  const addresses = addressesOf({
    offsets: new DataView(offsets.buffer, offsets.byteOffset, offsets.byteLength),
    count,
    base,
    stext: { index: unplaced.indexOf('_stext'), address: stext },
  });
  if (addresses === null) throw invalid('kallsyms and VMCOREINFO differ about where `_stext` is');
  return new KernelSymbols({ addresses, text, ends });
}

/** The table of tokens: it may end where mapped memory does. */
async function tokenTable(memory: VirtualMemory, address: bigint): Promise<Uint8Array> {
  for (let more = TOKEN_TABLE_BYTES_MAX - PAGE_BYTES; more >= 0; more -= PAGE_BYTES) {
    const table = await memory.tryRead(address, toPageEnd(address) + more);
    if (table !== null) return table;
  }
  throw invalid('the tokens of kallsyms lie where nothing is mapped');
}
