// How callers are found, as a kernel keeps it for itself (ORC), told to debuggers as DWARF.

import { describe, expect, test } from '@jest/globals';
import { Btf } from '../../../domain/guest/btf.ts';
import { callFramesOf } from '../../../domain/guest/debug/call-frames.ts';
import { SymbolPlaces } from '../../../domain/guest/debug/symbol-places.ts';
import { KernelSymbols } from '../../../domain/guest/kallsyms.ts';
import { Orc } from '../../../domain/guest/orc.ts';
import { PhysicalMemory, VirtualMemory } from '../../../domain/guest/virtual-memory.ts';
import { INT, madeBtf, type MadeType } from '../../support/guest/made-btf.ts';
import { imageAddress, madeKernel, pagesOfBytes } from '../../support/guest/made-kernel.ts';
import { seededRandom } from '../../support/images.ts';

/** Frames of the made kernel that nobody has: of places, and of entries. */
const [PLACES, ENTRIES] = [22, 23];
const FLAG = 2 ** 24;

/** struct orc_entry as kernels up to 6.3 have it, and as later ones do. */
const entryType = (tail: readonly (readonly [string, number, number])[]): MadeType => ({
  kind: 4,
  name: 'orc_entry',
  size: 6,
  flag: true,
  members: [
    { name: 'sp_offset', type: 1, bits: 0 },
    { name: 'bp_offset', type: 1, bits: 16 },
    ...[['sp_reg', 4, 32] as const, ['bp_reg', 4, 36] as const, ...tail].map(
      ([name, bits, at]) => ({ name, type: 1, bits: bits * FLAG + at }),
    ),
  ],
});
const OLD = entryType([
  ['type', 2, 40],
  ['end', 1, 42],
]);
const NEW = entryType([
  ['type', 3, 40],
  ['signal', 1, 43],
]);

/** Where it holds from, offset and register of the stack, offset and register of bp, kind. */
type Entry = readonly [
  at: number,
  sp: number,
  spRegister: number,
  bp: number,
  bpRegister: number,
  kind: number,
];

const [NONE, PREVIOUS, DI, BP, SP, BP_INDIRECT, SP_INDIRECT] = [0, 1, 3, 4, 5, 8, 9];
/** Functions, each with its entries; kinds are those of new kernels. */
const [UNKNOWN, OUTERMOST, CALL, REGISTERS, INTERRUPT] = [0, 1, 2, 3, 4];
const FUNCTIONS: readonly {
  readonly name: string;
  readonly at: number;
  readonly entries: readonly Entry[];
  /** Instructions of its frame in hex. */
  readonly said: string;
  readonly isInterrupted?: boolean;
}[] = [
  {
    name: '_stext',
    at: 0,
    entries: [
      [0, 8, SP, 0, NONE, CALL],
      [1, 16, SP, -16, PREVIOUS, CALL],
      [4, 16, BP, -16, PREVIOUS, CALL],
      [0x4e, 8, SP, 0, NONE, CALL],
    ],
    // Stack + 16 and rbp at -16; rbp + 16; and as at first. Advances: 1, 3 and 74.
    said: `41 0c0710 110602  43 0c0610  024a 0c0708 c6`,
  },
  {
    name: 'cold',
    at: 0x50,
    entries: [
      [0x50, 0, NONE, 0, NONE, UNKNOWN],
      [0x58, 24, SP, 0, NONE, CALL],
      [0x60, 0, NONE, 0, NONE, OUTERMOST],
    ],
    said: `0710  48 d0 0c0718  48 0710`,
  },
  {
    name: 'entry',
    at: 0x70,
    isInterrupted: true,
    entries: [
      [0x70, 0, SP, 0, NONE, INTERRUPT],
      [0x72, 0, SP, 0, NONE, REGISTERS],
      [0x78, 8, SP, 0, NONE, CALL],
    ],
    said:
      `111000 11077d 0c0700 ` +
      `42 d0c7 111070 11076d 110f00 110e7f 110d7e 110c7d 11067c 11037b 110b7a 110a79 110978 110877 110076 110275 110174 110473 110572 ` +
      `46 d0c7 cfcecdccc6c3cbcac9c8c0c2c1c4c5 0c0708`,
  },
  {
    name: 'switched',
    at: 0x80,
    entries: [
      [0x80, 8, SP_INDIRECT, 0, NONE, CALL],
      [0x90, -8, BP_INDIRECT, -8, BP, CALL],
      [0xa0, 16, DI, 3, PREVIOUS, CALL],
      [0xb0, -16, BP, 0, 7, CALL],
      [0xb8, 8, 15, 0, NONE, CALL],
    ],
    // What lies where rsp leads, + 8; what lies at rbp - 8, rbp at rbp - 8; rdi + 16, rbp nowhere.
    said: `0f06 7700 06 1108 22  50 0f03 7678 06 1006 02 7678  50 0c0510 0706  50 0f02 7670 0706  48 0710`,
  },
];
const END = 0xc0;

function symbolsOf(tables: readonly (readonly [string, bigint])[]): KernelSymbols {
  const all = [
    ...FUNCTIONS.map(({ name, at }) => [`t${name}`, imageAddress(0, at)] as const),
    // Another name of the same function, and what is no code.
    ['Tother', imageAddress(0, 0x50)] as const,
    ['Dend', imageAddress(0, END)] as const,
    ['Dfar', imageAddress(1)] as const,
    ...tables.map(([name, address]) => [`R${name}`, address] as const),
  ];
  let end = 0;
  return new KernelSymbols({
    addresses: BigUint64Array.from(all, ([, address]) => address),
    text: new TextEncoder().encode(all.map(([name]) => name).join('')),
    ends: Uint32Array.from(all, ([name]) => (end += name.length)),
  });
}

const entries = FUNCTIONS.flatMap((each) => each.entries);

/** A kernel's memory with the entries, in either form. */
function made(isOld: boolean) {
  const memory = madeKernel();
  for (const [i, [at, sp, spRegister, bp, bpRegister, kind]] of entries.entries()) {
    const [place, entry] = [PLACES * 4096 + 4 * i, ENTRIES * 4096 + 6 * i];
    memory.view.setInt32(place, at - place, true);
    memory.view.setInt16(entry, sp, true);
    memory.view.setInt16(entry + 2, bp, true);
    const old = kind === OUTERMOST ? 4 : Math.max(kind - CALL, 0);
    const type = isOld ? old : kind;
    memory.view.setUint16(entry + 4, spRegister + (bpRegister << 4) + (type << 8), true);
  }
  return memory;
}

const tablesOf = (count: number): readonly (readonly [string, bigint])[] => [
  ['__start_orc_unwind_ip', imageAddress(PLACES)],
  ['__stop_orc_unwind_ip', imageAddress(PLACES, 4 * count)],
  ['__start_orc_unwind', imageAddress(ENTRIES)],
  ['__stop_orc_unwind', imageAddress(ENTRIES, 6 * count)],
];

async function read(
  bytes: Uint8Array,
  type: MadeType,
  tables = tablesOf(entries.length),
): Promise<{ readonly orc: Orc | null; readonly places: SymbolPlaces }> {
  const memory = new VirtualMemory(new PhysicalMemory(pagesOfBytes(bytes)), {
    frame: 1,
    levels: 4,
  });
  const symbols = symbolsOf(tables);
  const orc = await Orc.read(memory, symbols, new Btf(madeBtf([INT, type])));
  const places = new SymbolPlaces(symbols, { textStart: imageAddress(0), offset: 0n });
  return { orc, places };
}

/** Frames of functions as they lie in the section, behind the two common entries. */
function framesIn(section: Uint8Array) {
  const bytes = Buffer.from(section);
  const found: { common: number; from: bigint; bytes: bigint; said: string }[] = [];
  let at = 0;
  while (at < bytes.length) {
    const end = at + 4 + bytes.readUInt32LE(at);
    const common = bytes.readUInt32LE(at + 4);
    if (common !== 0xffff_ffff) {
      const [from, length] = [bytes.readBigUInt64LE(at + 8), bytes.readBigUInt64LE(at + 16)];
      found.push({ common, from, bytes: length, said: bytes.toString('hex', at + 25, end) });
    }
    at = end;
  }
  return found;
}

describe('call frames', () => {
  test.each([
    ['up to 6.3', OLD],
    ['from 6.4 on', NEW],
  ])('of kernels %s say from each place where the caller was', async (_, type) => {
    const { orc, places } = await read(made(type === OLD).bytes, type);
    const { bytes, functions } = callFramesOf(orc!, places);
    expect(functions).toBe(FUNCTIONS.length);
    const frames = framesIn(bytes);
    const interrupted = 4 + Buffer.from(bytes).readUInt32LE(0);
    const padded = (hex: string): RegExp => new RegExp(`^${hex}(?:00){0,7}$`, 'u');
    for (const [i, { at, said, isInterrupted = false }] of FUNCTIONS.entries()) {
      const next = FUNCTIONS[i + 1]?.at ?? END;
      expect(frames[i]).toEqual({
        common: isInterrupted ? interrupted : 0,
        from: imageAddress(0, at),
        bytes: BigInt(next - at),
        said: expect.stringMatching(padded(said.replaceAll(' ', ''))),
      });
    }
    // Of functions: version 1, z, factors 1 and -8, rip; stack + 8, rip there, rsp, rbp, and what is unknown.
    const common = Buffer.from(bytes).toString('hex', 8, 8 + 26);
    expect(common).toBe('017a00017810000c0708900114070008060703070c070d070e07');
  });

  test('are none where a kernel does not tell, or tells it otherwise', async () => {
    const { bytes } = made(false);
    const count = entries.length;
    const orcOf = async (...of: Parameters<typeof read>) => (await read(...of)).orc;
    expect(await orcOf(bytes, NEW, [])).toBeNull();
    expect(await orcOf(bytes, { ...NEW, size: 8 })).toBeNull();
    expect(await orcOf(bytes, { ...NEW, name: 'other' })).toBeNull();
    expect(await orcOf(bytes, entryType([]))).toBeNull();
    expect(await orcOf(bytes, entryType([['type', 3, 46]]))).toBeNull();
    const tables = tablesOf(count);
    for (const [i, address] of [
      [0, imageAddress(PLACES, 4)],
      [1, imageAddress(PLACES, 4 * count + 1)],
      [1, imageAddress(PLACES)],
      [2, imageAddress(400)],
      [3, imageAddress(ENTRIES, 2 ** 30)],
    ] as const) {
      const other = tables.map(([name, at], j) => [name, i === j ? address : at] as const);
      expect([i, address, await orcOf(bytes, NEW, other)]).toEqual([i, address, null]);
    }
    const disordered = made(false);
    disordered.u32(PLACES, 0, 0);
    expect(await orcOf(disordered.bytes, NEW)).toBeNull();
  });

  test('are made of whatever a guest has there', async () => {
    const random = seededRandom(7);
    for (let round = 0; round < 40; round += 1) {
      const memory = made(false);
      for (let i = 0; i < 8; i += 1)
        memory.bytes[ENTRIES * 4096 + random(6 * entries.length)] = random(256);
      const { orc, places } = await read(memory.bytes, round % 2 === 0 ? NEW : OLD);
      const { bytes } = callFramesOf(orc!, places);
      expect(framesIn(bytes)).toHaveLength(FUNCTIONS.length);
    }
  });
});
