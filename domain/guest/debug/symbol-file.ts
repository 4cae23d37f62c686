// An ELF file of a kernel's symbols and types, and of nothing else: what debuggers read beside its memory.
// Numbers are little-endian.
//
//   0   64  ELF header: magic 7f 45 4c 46, 64 bits, little-endian, type 2 (program), machine 62 (x86-64)
//  64   56  a segment of no bytes in the file: the kernel's image
//   -    -  contents of sections, each at a multiple of 8
//   -    -  table of sections, 64 bytes each: none, the image, code run once, the note of the build,
//           symbols and their names, call frames and three of DWARF where there are, names of sections
//
// A symbol has 24 bytes: name, kind, 0, section (or 0xfff1: an absolute number), address, bytes. Local ones
// come first.

import type { CallFrames } from './call-frames.ts';
import type { Dwarf } from './dwarf.ts';
import { GrowingBytes } from './growing-bytes.ts';
import type { SymbolPlaces } from './symbol-places.ts';

const HEADER_BYTES = 64;
const SEGMENT_BYTES = 56;
const SECTION_BYTES = 64;
const ALIGNMENT = 8;
const TYPE_PROGRAM = 2;
const MACHINE_X86_64 = 62;
const ABSOLUTE = 0xfff1;
const SECTION = { contents: 1, symbols: 2, names: 3, note: 7, nothing: 8 } as const;
const [ALLOCATED, EXECUTABLE] = [2, 4];
const [LOCAL, GLOBAL, WEAK] = [0, 1, 2];
const [OBJECT, FUNCTION] = [1, 2];
const SYMBOL_BYTES = 24;
const BUILD_ID_NOTE = 3;
/** What stands in such a file. */
export interface SymbolFileRequest {
  readonly places: SymbolPlaces;
  /** Null: the kernel keeps no types. */
  readonly dwarf: Dwarf | null;
  /** Null: the kernel does not tell how callers are found. */
  readonly frames: CallFrames | null;
  /** Hexadecimal; null: the kernel does not say. */
  readonly buildId: string | null;
}

interface Section {
  readonly name: string;
  readonly kind: number;
  readonly flags?: number;
  readonly address?: bigint;
  /** Absent: it has none in the file, and so many bytes in memory. */
  readonly contents?: Uint8Array;
  readonly bytes?: number;
  readonly link?: number;
  readonly info?: number;
  readonly entryBytes?: number;
}

const SMALL_A = 97;
const letter = (kind: number): string => String.fromCharCode(kind);
const isLocal = (kind: number): boolean => kind >= SMALL_A && !'vw'.includes(letter(kind));

function symbolTable(places: SymbolPlaces) {
  const { text, ends } = places.symbols.columns;
  const startOf = (i: number): number => (i === 0 ? 0 : ends[i - 1]!);
  const locals = places.ascending.filter((i) => isLocal(text[startOf(i)]!));
  const others = places.ascending.filter((i) => !isLocal(text[startOf(i)]!));
  const table = new GrowingBytes();
  const names = new GrowingBytes();
  table.put(new Uint8Array(SYMBOL_BYTES));
  names.u8(0);
  const put = (i: number, binding: number): void => {
    const kind = letter(text[startOf(i)]!).toLowerCase();
    table.u32(names.length);
    table.u8((binding << 4) | ('tw'.includes(kind) ? FUNCTION : OBJECT));
    table.u8(0);
    table.u16(places.isInImage(i) ? 1 : ABSOLUTE);
    table.u64(places.address(i));
    table.u64(BigInt(places.bytes[i]!));
    names.put(text.subarray(startOf(i) + 1, ends[i]));
    names.u8(0);
  };
  for (const i of locals) put(i, LOCAL);
  for (const i of others) put(i, 'vwVW'.includes(letter(text[startOf(i)]!)) ? WEAK : GLOBAL);
  return { table: table.bytes(), names: names.bytes(), locals: locals.length };
}

function buildNote(buildId: string): Uint8Array {
  const id = Uint8Array.from(buildId.match(/../gu) ?? [], (byte) => Number.parseInt(byte, 16));
  const note = new GrowingBytes();
  note.u32(4);
  note.u32(id.length);
  note.u32(BUILD_ID_NOTE);
  note.text('GNU');
  note.put(id);
  note.pad(4);
  return note.bytes();
}

function sectionsOf(request: SymbolFileRequest): readonly Section[] {
  const { places, dwarf, frames, buildId } = request;
  const { table, names, locals } = symbolTable(places);
  const { address, bytes } = places.image;
  const code = { kind: SECTION.nothing, flags: ALLOCATED | EXECUTABLE };
  const contents = (name: string, of: Uint8Array): Section => ({
    name,
    kind: SECTION.contents,
    contents: of,
  });
  const ofSymbols = { link: 4, info: locals + 1, entryBytes: SYMBOL_BYTES };
  return [
    { name: '', kind: 0 },
    { name: '.text', ...code, address, bytes },
    // By this drgn knows a kernel.
    { name: '.init.text', ...code, address: address + BigInt(bytes), bytes: 0 },
    { name: '.symtab', kind: SECTION.symbols, contents: table, ...ofSymbols },
    { name: '.strtab', kind: SECTION.names, contents: names },
    ...(buildId === null
      ? []
      : [{ name: '.note.gnu.build-id', kind: SECTION.note, contents: buildNote(buildId) }]),
    ...(frames === null ? [] : [contents('.debug_frame', frames.bytes)]),
    ...(dwarf === null
      ? []
      : [
          contents('.debug_info', dwarf.info),
          contents('.debug_abbrev', dwarf.abbreviations),
          contents('.debug_str', dwarf.strings),
        ]),
  ];
}

function putHeader(out: GrowingBytes, of: { readonly sectionsAt: number; readonly count: number }) {
  out.put(Uint8Array.of(0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0));
  out.u16(TYPE_PROGRAM);
  out.u16(MACHINE_X86_64);
  out.u32(1);
  out.u64(0n);
  out.u64(BigInt(HEADER_BYTES));
  out.u64(BigInt(of.sectionsAt));
  out.u32(0);
  for (const value of [HEADER_BYTES, SEGMENT_BYTES, 1, SECTION_BYTES, of.count, of.count - 1])
    out.u16(value);
}

function putSegment(out: GrowingBytes, { address = 0n, bytes = 0 }: Section): void {
  out.u32(1);
  out.u32(EXECUTABLE | 1);
  for (const value of [0n, address, address, 0n, BigInt(bytes), 0x1000n]) out.u64(value);
}

function putSection(out: GrowingBytes, section: Section, at: { name: number; offset: number }) {
  const { kind, flags = 0, address = 0n, contents, bytes = 0 } = section;
  const { link = 0, info = 0, entryBytes = 0 } = section;
  out.u32(at.name);
  out.u32(kind);
  out.u64(BigInt(flags));
  out.u64(address);
  out.u64(BigInt(at.offset));
  out.u64(BigInt(contents?.length ?? bytes));
  out.u32(link);
  out.u32(info);
  out.u64(kind === SECTION.note ? 4n : 1n);
  out.u64(BigInt(entryBytes));
}

/** The whole file. */
export function symbolFile(request: SymbolFileRequest): Uint8Array {
  const sections = sectionsOf(request);
  const names = new GrowingBytes();
  const nameAt = [...sections, { name: '.shstrtab' }].map(({ name }) => {
    const at = names.length;
    names.text(name);
    return at;
  });
  const named = { name: '.shstrtab', kind: SECTION.names, contents: names.bytes() };
  const all: readonly Section[] = [...sections, named];
  const aligned = (bytes: number): number => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
  let sectionsAt = aligned(HEADER_BYTES + SEGMENT_BYTES);
  const offsets = all.map(({ contents }) => {
    const offset = sectionsAt;
    sectionsAt = aligned(offset + (contents?.length ?? 0));
    return contents === undefined ? 0 : offset;
  });
  const out = new GrowingBytes();
  putHeader(out, { sectionsAt, count: all.length });
  putSegment(out, all[1]!);
  for (const { contents = new Uint8Array() } of all) {
    out.pad(ALIGNMENT);
    out.put(contents);
  }
  out.pad(ALIGNMENT);
  for (const [i, section] of all.entries())
    putSection(out, section, { name: nameAt[i]!, offset: offsets[i]! });
  return out.bytes();
}
