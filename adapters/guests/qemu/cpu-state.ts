// The registers of a guest's CPUs, out of the sections that QEMU keeps for them. Which field lies where
// differs between versions of QEMU: the stream's own description tells. Numbers are big-endian.

import * as t from 'io-ts';
import { isRight } from 'fp-ts/lib/Either.js';
import type { DeviceState } from '../../../domain/values/device-state.ts';
import {
  GENERAL_REGISTERS,
  SEGMENT_REGISTERS,
  TABLE_REGISTERS,
  type SegmentRegister,
  type X86Cpu,
  type X86Float,
  type X86Segment,
} from '../../../domain/values/x86-cpu.ts';
import { deviceSectionsOf, type DeviceField, type DeviceSection } from './device-sections.ts';

const SECTION = 'cpu';
/** Each CPU's controller of interrupts has the number of its CPU. */
const INTERRUPTS = 'apic';
/** The upper half of a byte of priority is what instructions see of it. */
const PRIORITY_SHIFT = 4n;
const STACK_REGISTERS = 8;
const STACK_BYTES = 10;
const VECTORS = 16;
const VECTOR_BYTES = 16;
const TOP_SHIFT = 11;
/** Values of CPUs that know 32 bits alone are shorter. */
const VALUE_BYTES: readonly number[] = [4, 8];

const Members = t.type({ fields: t.array(t.type({ name: t.string, size: t.number })) });

/** A value that the description does not have, or not as an x86's. */
class NoSuchValue extends Error {}

/** The values of one section by the names of its fields. */
class Values {
  readonly #view: DataView;
  readonly #fields = new Map<string, DeviceField>();

  constructor(bytes: Uint8Array, { fields }: DeviceSection) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    for (const field of fields)
      if (!this.#fields.has(field.name)) this.#fields.set(field.name, field);
  }

  /** The field of so many values. */
  #field(name: string, count: number): DeviceField {
    const field = this.#fields.get(name);
    if (field === undefined || field.count !== count) throw new NoSuchValue(name);
    return field;
  }

  #value(offset: number, size: number): bigint {
    if (!VALUE_BYTES.includes(size)) throw new NoSuchValue(`a value of ${size} bytes`);
    return size === 4 ? BigInt(this.#view.getUint32(offset)) : this.#view.getBigUint64(offset);
  }

  /** The values of an array. */
  array(name: string, count: number): readonly bigint[] {
    const { offset, size } = this.#field(name, count);
    return Array.from({ length: count }, (_, i) => this.#value(offset + i * size, size));
  }

  one(name: string): bigint {
    return this.array(name, 1)[0]!;
  }

  /** Whole values of so many bytes each. */
  #wholes(name: string, count: number, bytes: number): readonly bigint[] {
    const { offset, size } = this.#field(name, count);
    if (size !== bytes) throw new NoSuchValue(`${name} of ${bytes} bytes`);
    return Array.from({ length: count }, (_, i) => {
      let value = 0n;
      for (let at = offset + i * size; at < offset + (i + 1) * size; at += 1)
        value = (value << 8n) | BigInt(this.#view.getUint8(at));
      return value;
    });
  }

  /** A number of so many bytes. */
  number(name: string, bytes: number): number {
    return Number(this.#wholes(name, 1, bytes)[0]!);
  }

  /** Registers of the stack, by their own numbers: a mantissa, then sign and exponent. */
  stack(name: string): readonly bigint[] {
    return this.#wholes(name, STACK_REGISTERS, STACK_BYTES).map(
      (value) => ((value & 0xffffn) << 64n) | (value >> 16n),
    );
  }

  /** Vectors: their lower halves come first. */
  vectors(name: string): readonly bigint[] {
    return this.#wholes(name, VECTORS, VECTOR_BYTES).map(
      (value) => (BigInt.asUintN(64, value) << 64n) | (value >> 64n),
    );
  }

  segments(name: string, count: number): readonly X86Segment[] {
    const { offset, size, struct } = this.#field(name, count);
    const members = Members.decode(struct);
    if (!isRight(members)) throw new NoSuchValue(`members of ${name}`);
    return Array.from({ length: count }, (_, i) =>
      this.#segment({ from: offset + i * size, size, members: members.right.fields }),
    );
  }

  #segment(of: {
    readonly from: number;
    readonly size: number;
    readonly members: readonly { readonly name: string; readonly size: number }[];
  }): X86Segment {
    const found = new Map<string, bigint>();
    let at = 0;
    for (const { name, size } of of.members) {
      if (at + size > of.size) throw new NoSuchValue(`room for ${name}`);
      found.set(name, this.#value(of.from + at, size));
      at += size;
    }
    const member = (name: string): bigint => {
      const value = found.get(name);
      if (value === undefined) throw new NoSuchValue(name);
      return value;
    };
    const number = (name: string): number => Number(BigInt.asUintN(32, member(name)));
    return {
      selector: number('selector'),
      base: member('base'),
      limit: number('limit'),
      flags: number('flags'),
    };
  }
}

/** What can be read; null: it is not there, or not as it is known here. */
function ifThere<A>(read: () => A): A | null {
  try {
    return read();
  } catch (thrown) {
    if (thrown instanceof NoSuchValue) return null;
    throw thrown;
  }
}

function floatOf(values: Values): X86Float {
  const status = values.number('env.fpus_vmstate', 2);
  const registers = values.stack('env.fpregs');
  const top = (status >>> TOP_SHIFT) % STACK_REGISTERS;
  return {
    control: values.number('env.fpuc', 2),
    status,
    used: values.number('env.fptag_vmstate', 2),
    stack: registers.map((_, i) => registers[(top + i) % STACK_REGISTERS]!),
    vectors: values.vectors('env.xmm_regs[0]'),
    mxcsr: values.number('env.mxcsr', 4),
  };
}

function cpuOf(
  values: Values,
  of: { readonly number: number; readonly cr8: bigint | null },
): X86Cpu {
  const general = values.array('env.regs', GENERAL_REGISTERS.length);
  const segments = values.segments('env.segs', SEGMENT_REGISTERS.length);
  return {
    ...of,
    general: new Map(GENERAL_REGISTERS.map((name, i) => [name, general[i]!])),
    rip: values.one('env.eip'),
    rflags: values.one('env.eflags'),
    segments: new Map<SegmentRegister, X86Segment>([
      ...SEGMENT_REGISTERS.map((name, i) => [name, segments[i]!] as const),
      ...TABLE_REGISTERS.map((name) => [name, values.segments(`env.${name}`, 1)[0]!] as const),
    ]),
    cr0: values.one('env.cr[0]'),
    cr2: values.one('env.cr[2]'),
    cr3: values.one('env.cr[3]'),
    cr4: values.one('env.cr[4]'),
    efer: values.one('env.efer'),
    kernelGsBase: values.one('env.kernelgsbase'),
    float: ifThere(() => floatOf(values)),
  };
}

/**
 * The CPUs of a guest in the order of their numbers. None where it has no description, and where the
 * processors that it describes are no x86-64. STREAM_INVALID where devices and description differ.
 */
export function cpusOf(device: DeviceState, label: string): readonly X86Cpu[] {
  if (device.description.length === 0) return [];
  const all = deviceSectionsOf(device, label);
  const valuesOf = (section: DeviceSection): Values => new Values(device.sections, section);
  const sections = all.filter(({ name }) => name === SECTION);
  const cr8Of = (cpu: number): bigint | null => {
    const of = all.find(({ name, instance }) => name === INTERRUPTS && instance === cpu);
    if (of === undefined) return null;
    return ifThere(() => BigInt(valuesOf(of).number('tpr', 1)) >> PRIORITY_SHIFT);
  };
  return (
    ifThere(() =>
      sections
        .map((section) =>
          cpuOf(valuesOf(section), { number: section.instance, cr8: cr8Of(section.instance) }),
        )
        .toSorted((a, b) => a.number - b.number),
    ) ?? []
  );
}
