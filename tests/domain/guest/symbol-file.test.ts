// A kernel's symbols and types as an ELF file with DWARF: read by its tables, and by debuggers.

import { spawnSync } from 'node:child_process';
import { hash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { BtfTypes } from '../../../domain/guest/btf-types.ts';
import { dwarfOf } from '../../../domain/guest/debug/dwarf.ts';
import { symbolFile } from '../../../domain/guest/debug/symbol-file.ts';
import { SymbolPlaces } from '../../../domain/guest/debug/symbol-places.ts';
import { KernelSymbols } from '../../../domain/guest/kallsyms.ts';
import { readDwarf, typeText, type DwarfEntry } from '../../support/guest/dwarf-reader.ts';
import { elfSections, elfSymbols } from '../../support/guest/elf-sections.ts';
import { INT, madeBtf, struct, type MadeType } from '../../support/guest/made-btf.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';
import { describeWithPrograms } from '../../support/tools.ts';

const INVALID = expect.objectContaining({ code: 'GUEST_INVALID' });
const TEXT = 0xffff_ffff_8100_0000n;
const MOVED = 0x40_0000n;
const BUILD_ID = '00112233445566778899aabbccddeeff00112233';

/** Every kind of type that BTF has, by number. */
const TYPES: readonly MadeType[] = [
  INT,
  { kind: 1, name: 'char', size: 1, words: [(1 << 24) + 8] },
  { kind: 1, name: '_Bool', size: 1, words: [(4 << 24) + 8] },
  { kind: 2, size: 2 },
  { kind: 10, size: 2 },
  { kind: 2, size: 5 },
  { kind: 3, size: 0, words: [2, 1, 16] },
  { kind: 8, name: 'name_t', size: 7 },
  { kind: 9, size: 1 },
  { kind: 11, size: 4 },
  // 11: a structure with a part without a name, bits, and an end of no length.
  {
    ...struct('task_struct', 64, { next: [12, 0], comm: [8, 8], '?': [14, 24] }),
    flag: true,
    members: [
      { name: 'next', type: 12, bits: 0 },
      { name: 'comm', type: 8, bits: 64 },
      { type: 14, bits: 192 },
      { name: 'few', type: 1, bits: (3 << 24) + 261 },
      { name: 'rest', type: 13, bits: 320 },
    ],
  },
  { kind: 2, size: 11 },
  { kind: 3, size: 0, words: [2, 1, 0] },
  { kind: 5, size: 8, members: ['a', 'b'].map((name) => ({ name, type: 1, bits: 0 })) },
  { kind: 6, name: 'places', size: 4, enumerators: { FIRST: 0, LAST: 0xffff_fffe } },
  { kind: 6, name: 'signs', size: 4, flag: true, enumerators: { BELOW: 0xffff_fffe } },
  { kind: 6, name: 'later', size: 4 },
  { kind: 7, name: 'hidden', size: 0 },
  { kind: 7, name: 'either', size: 0, flag: true },
  // 20: long (const char *, ...), and functions of it.
  {
    kind: 13,
    size: 1,
    parameters: [
      ['format', 6],
      ['', 0],
    ],
  },
  { kind: 12, name: 'helper', size: 20 },
  { kind: 12, name: 'main', size: 20, isGlobal: true },
  { kind: 14, name: 'runqueue', size: 11, words: [1] },
  { kind: 16, name: 'float', size: 4 },
  { kind: 17, name: 'tagged', size: 11, words: [0xffff_ffff] },
  { kind: 18, name: 'user', size: 2 },
  { kind: 2, size: 26 },
  { kind: 15, name: '.data..percpu', size: 64, members: [{ type: 23, bits: 0 }] },
  { kind: 19, name: 'wide', size: 8, longs: { HIGH: [1, 0x8000_0000] } },
  // 30: bits as kernels before 4.20 have them.
  { kind: 1, name: 'bits', size: 4, words: [(5 << 16) + 3] },
  struct('early', 8, { low: [30, 0], plain: [1, 0] }),
];

const SYMBOLS = [
  ['T', '_stext', TEXT],
  ['T', 'main', TEXT + 0x10n],
  ['t', 'helper', TEXT + 0x40n],
  ['t', 'helper', TEXT + 0x60n],
  ['A', 'runqueue', 0x40n],
  ['D', 'init_task', TEXT + 0x1000n],
  ['W', 'weak', TEXT + 0x1000n],
  ['R', 'linux_banner', TEXT + 0x2000n],
] as const;

function madeSymbols(): KernelSymbols {
  const text = SYMBOLS.map(([kind, name]) => `${kind}${name}`);
  let end = 0;
  return new KernelSymbols({
    addresses: BigUint64Array.from(SYMBOLS, ([, , address]) => address),
    text: new TextEncoder().encode(text.join('')),
    ends: Uint32Array.from(text, (each) => (end += each.length)),
  });
}

function made(types: readonly MadeType[], offset = 0n): Buffer {
  const places = new SymbolPlaces(madeSymbols(), { textStart: TEXT, offset });
  const dwarf = dwarfOf(new BtfTypes(madeBtf(types)), { name: 'Linux 6.1.0-made', places });
  return Buffer.from(symbolFile({ places, dwarf, frames: null, buildId: BUILD_ID }));
}

describe('a file of symbols and types', () => {
  const file = made(TYPES);
  const unit = readDwarf(file);
  const named = (name: string): DwarfEntry => unit.children.find((each) => each['name'] === name)!;
  const membersOf = (entry: DwarfEntry): unknown[] =>
    entry.children.map(({ name = null, at = null, bits = null, bitAt = null, type }) => [
      name,
      typeText(type),
      ...(bits === null ? [at] : [bits, bitAt]),
    ]);

  test('has each symbol with its kind, its place and how far it reaches', () => {
    const symbols = elfSymbols(file).map(({ name, address, bytes, binding, kind, section }) => [
      name,
      address < TEXT ? address : address - TEXT,
      bytes,
      `${binding} ${kind} ${section}`,
    ]);
    expect(symbols).toEqual([
      ['helper', 0x40n, 0x20, 'LOCAL FUNC .text'],
      ['helper', 0x60n, 0xfa0, 'LOCAL FUNC .text'],
      ['runqueue', 0x40n, 0, 'GLOBAL OBJECT null'],
      ['_stext', 0n, 0x10, 'GLOBAL FUNC .text'],
      ['main', 0x10n, 0x30, 'GLOBAL FUNC .text'],
      ['init_task', 0x1000n, 0x1000, 'GLOBAL OBJECT .text'],
      ['weak', 0x1000n, 0x1000, 'WEAK FUNC .text'],
      ['linux_banner', 0x2000n, 0, 'GLOBAL OBJECT .text'],
    ]);
    const { bytes } = elfSections(file).get('.note.gnu.build-id')!;
    expect(bytes.toString('hex', 16)).toBe(BUILD_ID);
  });

  test('has structures with parts without a name, with bits and with an open end', () => {
    const task = named('task_struct');
    expect(task['bytes']).toBe(64);
    expect(membersOf(task)).toEqual([
      ['next', 'struct task_struct *', 0],
      ['comm', 'name_t', 8],
      [null, 'union ?', 24],
      ['few', 'long', 3, 261],
      ['rest', 'char []', 40],
    ]);
    expect(membersOf(named('early'))).toEqual([
      ['low', 'bits', 3, 5],
      ['plain', 'long', 0],
    ]);
  });

  test('has numbers, names for types and enumerations', () => {
    expect(['long', 'char', '_Bool', 'float'].map((name) => named(name)['encoding'])).toEqual([
      7, 6, 2, 4,
    ]);
    expect(typeText(named('name_t')['type'])).toBe('char [16]');
    const values = (name: string): unknown[] =>
      named(name).children.map((each) => [each['name'], each['value']]);
    expect(values('places')).toEqual([
      ['FIRST', 0],
      ['LAST', 0xffff_fffe],
    ]);
    expect(values('signs')).toEqual([['BELOW', -2n]]);
    expect(values('wide')).toEqual([['HIGH', 0x8000_0000_0000_0001n]]);
    for (const name of ['later', 'hidden', 'either']) expect(named(name)['declaration']).toBe(true);
    expect(named('either').tag).toBe('union');
    const pointers = unit.children.filter(({ tag }) => tag === 'pointer');
    expect(pointers.map(typeText)).toEqual([
      'char *',
      'const char *',
      'struct task_struct *',
      'char *',
      // Of variables that are known.
    ]);
  });

  test('has functions of one address with their parameters', () => {
    const functions = unit.children.filter(({ tag }) => tag === 'function');
    expect(functions.map(({ name }) => name)).toEqual(['main']);
    const [main] = functions;
    expect([main!['from'], main!['reach'], main!['external']]).toEqual([TEXT + 0x10n, 0x30, true]);
    expect(main!.children.map(({ tag, name, type }) => [tag, name, typeText(type)])).toEqual([
      ['parameter', 'format', 'const char *'],
      ['more', undefined, 'void'],
    ]);
  });

  test('has variables that BTF names, and those that every kernel declares', () => {
    const variables = unit.children.filter(({ tag }) => tag === 'variable');
    expect(variables.map(({ name, type, location }) => [name, typeText(type), location])).toEqual([
      ['runqueue', 'struct task_struct', 0x40n],
      ['init_task', 'struct task_struct', TEXT + 0x1000n],
      ['linux_banner', 'char []', TEXT + 0x2000n],
    ]);
  });

  test('stands at the addresses that a kernel was linked to where it is said how far it moved', () => {
    const linked = made(TYPES, MOVED);
    const addresses = elfSymbols(linked).map(({ name, address }) => [name, address]);
    expect(addresses).toContainEqual(['main', TEXT + 0x10n - MOVED]);
    expect(addresses).toContainEqual(['runqueue', 0x40n]);
    const main = readDwarf(linked).children.find(({ name }) => name === 'main')!;
    expect(main['from']).toBe(TEXT + 0x10n - MOVED);
    expect(elfSections(linked).get('.text')!.address).toBe(TEXT - MOVED);
  });

  test('is the same byte for byte each time', () => {
    expect(made(TYPES).equals(file)).toBe(true);
    expect(hash('sha256', file, 'hex')).toBe(
      'd3bf4ba54a08c681e04c9470ef141b0202f2a6d1e4694683765265ae6b1d1c10',
    );
  });

  const wrong: readonly (readonly [string, MadeType])[] = [
    ['names a type that is none', { kind: 2, size: 99 }],
    ['is another name for itself', { kind: 8, name: 'self', size: 2 }],
    ['is a tag of itself', { kind: 18, name: 'self', size: 2 }],
    ['has a member of a type that is none', struct('odd', 8, { a: [99, 0] })],
  ];
  for (const [title, type] of wrong)
    test(`is refused where a type ${title}`, () => {
      expect(() => made([INT, type, { kind: 2, size: 2 }])).toThrow(INVALID);
    });
});

let folder: TemporaryFolder;
let path: string;
beforeAll(async () => {
  folder = await makeTemporaryFolder();
  path = join(folder.path, 'symbols');
  writeFileSync(path, made(TYPES));
});
afterAll(() => folder.remove());

describeWithPrograms('gdb', ['gdb'], () => {
  test('reads types, variables and functions from the file', () => {
    const asked = [
      'ptype/o struct task_struct',
      'ptype main',
      'p sizeof(struct task_struct)',
      'p &runqueue',
    ];
    const more = [
      'p (enum signs)-2',
      'info symbol main',
      'whatis linux_banner',
      'ptype struct early',
    ];
    const words = [...asked, ...more].flatMap((word) => ['-ex', word]);
    const { stdout, stderr } = spawnSync('gdb', ['-nx', '-batch', ...words, path], {
      encoding: 'utf8',
    });
    expect(stderr).toBe('');
    for (const shown of [
      /\/\* {6}0 {6}\| {7}8 \*\/ {4}struct task_struct \*next;/u,
      /char rest\[\];/u,
      /unsigned long few : 3;|long few : 3;/u,
      /type = long \(const char \*, \.\.\.\)/u,
      /\$1 = 64/u,
      /\$2 = \(struct task_struct \*\) 0x40/u,
      /\$3 = BELOW/u,
      /main in section \.text/u,
      /type = char \[\]/u,
      /bits low : 3;/u,
    ])
      expect(stdout).toMatch(shown);
  });
});

const ASKED = `
import drgn, sys
program = drgn.Program()
program.load_debug_info([sys.argv[1]])
task = program.type('struct task_struct')
print(task.size, [member.name for member in task.members], program.type('name_t').type.length)
print(program.type('enum signs').enumerators[0].value)
`;

describeWithPrograms('drgn', ['drgn', '/usr/bin/python3'], () => {
  test('reads types from the file', () => {
    const { stdout, stderr } = spawnSync('/usr/bin/python3', ['-c', ASKED, path], {
      encoding: 'utf8',
    });
    expect(stderr).toBe('');
    expect(stdout).toBe("64 ['next', 'comm', None, 'few', 'rest'] 16\n-2\n");
  });
});
