// Reads the sections of an ELF file of x86-64 and its symbols, by its tables alone.

export interface ElfSymbol {
  readonly name: string;
  readonly address: bigint;
  readonly bytes: number;
  /** As readelf has them. */
  readonly binding: 'LOCAL' | 'GLOBAL' | 'WEAK';
  readonly kind: 'OBJECT' | 'FUNC';
  /** Null: an absolute number. */
  readonly section: string | null;
}

interface Section {
  readonly kind: number;
  readonly address: bigint;
  readonly bytes: Buffer;
  readonly link: number;
  readonly info: number;
}

const NO_BYTES = 8;
const ABSOLUTE = 0xfff1;
const BINDINGS = ['LOCAL', 'GLOBAL', 'WEAK'] as const;

const textAt = (bytes: Buffer, at: number): string =>
  bytes.toString('latin1', at, bytes.indexOf(0, at));

/** Sections by their names. */
export function elfSections(file: Buffer): ReadonlyMap<string, Section> {
  const u64 = (at: number): number => Number(file.readBigUInt64LE(at));
  const table = u64(40);
  const headerAt = (i: number): number => table + 64 * i;
  const bytesOf = (at: number): Buffer =>
    file.readUInt32LE(at + 4) === NO_BYTES
      ? Buffer.alloc(0)
      : file.subarray(u64(at + 24), u64(at + 24) + u64(at + 32));
  const names = bytesOf(headerAt(file.readUInt16LE(62)));
  return new Map(
    Array.from({ length: file.readUInt16LE(60) }, (_, i): [string, Section] => {
      const at = headerAt(i);
      return [
        textAt(names, file.readUInt32LE(at)),
        {
          kind: file.readUInt32LE(at + 4),
          address: file.readBigUInt64LE(at + 16),
          bytes: bytesOf(at),
          link: file.readUInt32LE(at + 40),
          info: file.readUInt32LE(at + 44),
        },
      ];
    }),
  );
}

/** Symbols in their order, but for the first, which is none; throws where a global one is among the locals. */
export function elfSymbols(file: Buffer): ElfSymbol[] {
  const sections = elfSections(file);
  const { bytes, link, info } = sections.get('.symtab')!;
  const names = [...sections.values()][link]!.bytes;
  const symbols: ElfSymbol[] = [];
  for (let at = 24; at < bytes.length; at += 24) {
    const kind = bytes[at + 4]!;
    if ((kind >> 4 === 0) !== at < 24 * info)
      throw new TypeError('a local symbol out of its place');
    const section = bytes.readUInt16LE(at + 6);
    symbols.push({
      name: textAt(names, bytes.readUInt32LE(at)),
      address: bytes.readBigUInt64LE(at + 8),
      bytes: Number(bytes.readBigUInt64LE(at + 16)),
      binding: BINDINGS[kind >> 4]!,
      kind: (kind & 15) === 2 ? 'FUNC' : 'OBJECT',
      section: section === ABSOLUTE ? null : [...sections.keys()][section]!,
    });
  }
  return symbols;
}
