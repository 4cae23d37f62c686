// Reads one unit of DWARF 4 as a tree, by its abbreviations alone. Tags and attributes that are not known
// here are thrown, so that a test sees what it did not expect.

import { elfSections } from './elf-sections.ts';

const TAGS: Readonly<Record<number, string>> = {
  0x01: 'array',
  0x04: 'enumeration',
  0x05: 'parameter',
  0x0d: 'member',
  0x0f: 'pointer',
  0x11: 'unit',
  0x13: 'struct',
  0x15: 'prototype',
  0x16: 'typedef',
  0x17: 'union',
  0x18: 'more',
  0x21: 'bound',
  0x24: 'base',
  0x26: 'const',
  0x28: 'enumerator',
  0x2e: 'function',
  0x34: 'variable',
  0x35: 'volatile',
  0x37: 'restrict',
};
const ATTRIBUTES: Readonly<Record<number, string>> = {
  0x02: 'location',
  0x03: 'name',
  0x0b: 'bytes',
  0x0d: 'bits',
  0x11: 'from',
  0x12: 'reach',
  0x13: 'language',
  0x1c: 'value',
  0x25: 'producer',
  0x27: 'prototyped',
  0x37: 'count',
  0x38: 'at',
  0x3c: 'declaration',
  0x3e: 'encoding',
  0x3f: 'external',
  0x49: 'type',
  0x6b: 'bitAt',
};

/** An entry; a type that it names is the entry itself. */
export interface DwarfEntry {
  readonly tag: string;
  readonly children: DwarfEntry[];
  readonly [attribute: string]: unknown;
}

class Bytes {
  at = 0;
  readonly #bytes: Buffer;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  u8(): number {
    this.at += 1;
    return this.#bytes.readUInt8(this.at - 1);
  }

  u32(): number {
    this.at += 4;
    return this.#bytes.readUInt32LE(this.at - 4);
  }

  u64(): bigint {
    this.at += 8;
    return this.#bytes.readBigUInt64LE(this.at - 8);
  }

  leb(isSigned = false): bigint {
    let [value, shift] = [0n, 0n];
    for (;;) {
      const byte = this.u8();
      value |= BigInt(byte & 127) << shift;
      shift += 7n;
      if (byte >= 128) continue;
      return isSigned ? BigInt.asIntN(Number(shift), value) : value;
    }
  }
}

type Abbreviation = { tag: string; hasChildren: boolean; attributes: [string, number][] };

function abbreviationsIn(bytes: Buffer): Map<number, Abbreviation> {
  const known = (names: Readonly<Record<number, string>>, code: number): string => {
    const name = names[code];
    if (name === undefined) throw new TypeError(`DWARF has 0x${code.toString(16)}`);
    return name;
  };
  const reader = new Bytes(bytes);
  const found = new Map<number, Abbreviation>();
  for (let code = Number(reader.leb()); code !== 0; code = Number(reader.leb())) {
    const tag = known(TAGS, Number(reader.leb()));
    const hasChildren = reader.u8() === 1;
    const attributes: [string, number][] = [];
    for (;;) {
      const [attribute, form] = [Number(reader.leb()), Number(reader.leb())];
      if (attribute === 0) break;
      attributes.push([known(ATTRIBUTES, attribute), form]);
    }
    if (found.has(code)) throw new TypeError('an abbreviation has two meanings');
    found.set(code, { tag, hasChildren, attributes });
  }
  return found;
}

/** The unit of a file of symbols. */
export function readDwarf(file: Buffer): DwarfEntry {
  const sections = elfSections(file);
  const [info, abbreviated, strings] = ['info', 'abbrev', 'str'].map(
    (name) => sections.get(`.debug_${name}`)!.bytes,
  );
  const abbreviations = abbreviationsIn(abbreviated!);
  const reader = new Bytes(info!);
  if (reader.u32() !== info!.length - 4) throw new TypeError('the unit is cut short');
  if (reader.u8() !== 4 || reader.u8() !== 0 || reader.u32() !== 0 || reader.u8() !== 8)
    throw new TypeError('the unit is of another version');
  const named: [Record<string, unknown>, number][] = [];
  const places = new Map<number, DwarfEntry>();
  const valueOf = (form: number, entry: Record<string, unknown>): unknown => {
    if (form === 0x01) return reader.u64();
    if (form === 0x0b) return reader.u8();
    if (form === 0x0d) return reader.leb(true);
    if (form === 0x0e) {
      const at = reader.u32();
      return strings!.toString('latin1', at, strings!.indexOf(0, at));
    }
    if (form === 0x0f) {
      const value = reader.leb();
      return value < 2n ** 53n ? Number(value) : value;
    }
    if (form === 0x13) return named.push([entry, reader.u32()]);
    if (form === 0x19) return true;
    if (form !== 0x18 || reader.leb() !== 9n || reader.u8() !== 3)
      throw new TypeError(`DWARF has the form 0x${form.toString(16)}`);
    return reader.u64();
  };
  const read = (): DwarfEntry | null => {
    const at = reader.at;
    const code = Number(reader.leb());
    if (code === 0) return null;
    const { tag, hasChildren, attributes } = abbreviations.get(code)!;
    const entry: DwarfEntry & Record<string, unknown> = { tag, children: [] };
    for (const [attribute, form] of attributes) entry[attribute] = valueOf(form, entry);
    places.set(at, entry);
    if (hasChildren)
      for (let child = read(); child !== null; child = read()) entry.children.push(child);
    return entry;
  };
  const unit = read()!;
  if (reader.at !== info!.length) throw new TypeError('bytes behind the unit');
  for (const [entry, at] of named) {
    const type = places.get(at);
    if (type === undefined) throw new TypeError('a type lies at no entry');
    entry['type'] = type;
  }
  return unit;
}

const textOf = (value: unknown): string =>
  typeof value === 'string' || typeof value === 'number' ? String(value) : '';

/** A type as C writes it, roughly. */
export function typeText(entry: unknown): string {
  if (entry === undefined) return 'void';
  const { tag, name, type, children } = entry as DwarfEntry;
  if (tag === 'pointer') return `${typeText(type)} *`;
  if (tag === 'array') return `${typeText(type)} [${textOf(children[0]!['count'])}]`;
  if (tag === 'prototype')
    return `${typeText(type)} (${children.map((each) => (each.tag === 'more' ? '...' : typeText(each['type']))).join(', ')})`;
  if (tag === 'const' || tag === 'volatile' || tag === 'restrict')
    return `${tag} ${typeText(type)}`;
  const word = tag === 'enumeration' ? 'enum ' : `${tag} `;
  return `${tag === 'base' || tag === 'typedef' ? '' : word}${name === undefined ? '?' : textOf(name)}`;
}
