// Registers as GDB is told of them: numbered and described as QEMU numbers its own for x86-64, and behind
// them `seq`, the number of the capture that is looked at; writing that goes there. What is not recorded
// is unavailable, never made up.

import {
  GENERAL_REGISTERS,
  type GeneralRegister,
  type SegmentRegister,
  type X86Cpu,
  type X86Float,
} from '../../../domain/values/x86-cpu.ts';

/** What is looked at: a CPU, or none whose registers are known; and which capture it is. */
export interface Shown {
  readonly cpu: X86Cpu | null;
  readonly capture: number;
}

interface Register {
  readonly name: string;
  readonly bits: number;
  readonly type: string;
  readonly group?: string;
  readonly value: (shown: Shown) => bigint | null;
}

/** In the order in which GDB has them; instructions number them otherwise. */
const GENERAL: readonly GeneralRegister[] = [
  'rax',
  'rbx',
  'rcx',
  'rdx',
  'rsi',
  'rdi',
  'rbp',
  'rsp',
  ...GENERAL_REGISTERS.slice(8),
];
const SELECTORS: readonly SegmentRegister[] = ['cs', 'ss', 'ds', 'es', 'fs', 'gs'];
/** Two bits for each register of the stack: 3 where it is empty. */
const tagsOf = ({ used }: X86Float): number =>
  Array.from({ length: 8 }, (_, i) => ((used >>> i) & 1 ? 0 : 3) << (2 * i)).reduce(
    (a, b) => a | b,
  );

/** Where instructions and operands of calculations lay is not recorded. */
const X87: readonly (readonly [string, ((float: X86Float) => number) | null])[] = [
  ['fctrl', ({ control }) => control],
  ['fstat', ({ status }) => status],
  ['ftag', tagsOf],
  ['fiseg', null],
  ['fioff', null],
  ['foseg', null],
  ['fooff', null],
  ['fop', null],
];

const ofCpu =
  (value: (cpu: X86Cpu) => bigint): Register['value'] =>
  ({ cpu }) =>
    cpu === null ? null : value(cpu);

const ofFloat =
  (value: (float: X86Float) => bigint): Register['value'] =>
  ({ cpu }) => {
    const float = cpu?.float ?? null;
    return float === null ? null : value(float);
  };

const base = (name: SegmentRegister): Register['value'] =>
  ofCpu(({ segments }) => segments.get(name)!.base);

const system = (name: string, value: Register['value']): Register => ({
  name,
  bits: 64,
  type: 'int64',
  group: 'system',
  value,
});

const CORE: readonly Register[] = [
  ...GENERAL.map((name): Register => {
    const isPointer = name === 'rbp' || name === 'rsp';
    const value = ofCpu(({ general }) => general.get(name)!);
    return { name, bits: 64, type: isPointer ? 'data_ptr' : 'int64', value };
  }),
  // GDB lets a guest go whose place is unavailable: where none is recorded it is told of address 0.
  { name: 'rip', bits: 64, type: 'code_ptr', value: ({ cpu }) => cpu?.rip ?? 0n },
  { name: 'eflags', bits: 32, type: 'int32', value: ofCpu(({ rflags }) => rflags) },
  ...SELECTORS.map((name): Register => {
    const value = ofCpu(({ segments }) => BigInt(segments.get(name)!.selector));
    return { name, bits: 32, type: 'int32', value };
  }),
  system('fs_base', base('fs')),
  system('gs_base', base('gs')),
  system(
    'k_gs_base',
    ofCpu(({ kernelGsBase }) => kernelGsBase),
  ),
  system(
    'cr0',
    ofCpu(({ cr0 }) => cr0),
  ),
  system(
    'cr2',
    ofCpu(({ cr2 }) => cr2),
  ),
  system(
    'cr3',
    ofCpu(({ cr3 }) => cr3),
  ),
  system(
    'cr4',
    ofCpu(({ cr4 }) => cr4),
  ),
  system('cr8', ({ cpu }) => cpu?.cr8 ?? null),
  system(
    'efer',
    ofCpu(({ efer }) => efer),
  ),
  ...Array.from({ length: 8 }, (_, i): Register => {
    const value = ofFloat(({ stack }) => stack[i]!);
    return { name: `st${i}`, bits: 80, type: 'i387_ext', value };
  }),
  ...X87.map(([name, value]): Register => {
    const told = value === null ? () => null : ofFloat((float) => BigInt(value(float)));
    return { name, bits: 32, type: 'int32', group: 'float', value: told };
  }),
  ...Array.from({ length: 16 }, (_, i): Register => {
    const value = ofFloat(({ vectors }) => vectors[i]!);
    return { name: `xmm${i}`, bits: 128, type: 'vec128', group: 'vector', value };
  }),
  {
    name: 'mxcsr',
    bits: 32,
    type: 'int32',
    group: 'vector',
    value: ofFloat(({ mxcsr }) => BigInt(mxcsr)),
  },
];

/** How GDB shows a vector. */
const VECTORS = `<vector id="v4f" type="ieee_single" count="4"/>
<vector id="v2d" type="ieee_double" count="2"/>
<vector id="v16i8" type="int8" count="16"/>
<vector id="v8i16" type="int16" count="8"/>
<vector id="v4i32" type="int32" count="4"/>
<vector id="v2i64" type="int64" count="2"/>
<union id="vec128">
<field name="v4_float" type="v4f"/>
<field name="v2_double" type="v2d"/>
<field name="v16_int8" type="v16i8"/>
<field name="v8_int16" type="v8i16"/>
<field name="v4_int32" type="v4i32"/>
<field name="v2_int64" type="v2i64"/>
<field name="uint128" type="uint128"/>
</union>`;

const SEQ: Register = {
  name: 'seq',
  bits: 64,
  type: 'int64',
  group: 'system',
  value: ({ capture }) => BigInt(capture),
};

const REGISTERS: readonly Register[] = [...CORE, SEQ];
/** The registers of a CPU by their names; null: not recorded. */
export const namedRegisters = (
  shown: Shown,
): readonly { readonly name: string; readonly bits: number; readonly value: bigint | null }[] =>
  CORE.map(({ name, bits, value }) => ({
    name,
    bits,
    value: shown.cpu === null ? null : value(shown),
  }));

/** The number of `rip`, which a client is told of at every stop. */
export const RIP = REGISTERS.findIndex(({ name }) => name === 'rip');
/** The number of `seq`. */
export const SEQ_NUMBER = REGISTERS.length - 1;

const element = ({ name, bits, type, group }: Register, number: number): string => {
  const of = group === undefined ? '' : ` group="${group}"`;
  return `<reg name="${name}" bitsize="${bits}" type="${type}" regnum="${number}"${of}/>`;
};

/** What a client reads of the registers there are. */
export const TARGET_DESCRIPTION = `<?xml version="1.0"?>
<!DOCTYPE target SYSTEM "gdb-target.dtd">
<target version="1.0">
<architecture>i386:x86-64</architecture>
<feature name="org.gnu.gdb.i386.core">
${VECTORS}
${CORE.map((register, i) => element(register, i)).join('\n')}
</feature>
<feature name="pageledger.history">
${element(SEQ, SEQ_NUMBER)}
</feature>
</target>
`;

/** A number in the order of a little machine's bytes, in hex; x for each digit of what is not known. */
function hexOf(value: bigint | null, bits: number): string {
  if (value === null) return 'x'.repeat(bits / 4);
  const digits = BigInt.asUintN(bits, value)
    .toString(16)
    .padStart(bits / 4, '0');
  return digits.match(/../gu)!.toReversed().join('');
}

/** One register by its number; null: there is none. */
export function registerHex(number: number, shown: Shown): string | null {
  const register = REGISTERS[number];
  return register === undefined ? null : hexOf(register.value(shown), register.bits);
}

/** All of them, one after the other. */
export const registersHex = (shown: Shown): string =>
  REGISTERS.map(({ value, bits }) => hexOf(value(shown), bits)).join('');
