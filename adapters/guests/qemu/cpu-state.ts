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
  type X86Segment,
} from '../../../domain/values/x86-cpu.ts';
import { deviceSectionsOf, type DeviceField, type DeviceSection } from './device-sections.ts';

const SECTION = 'cpu';
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

function cpuOf(values: Values, number: number): X86Cpu {
  const general = values.array('env.regs', GENERAL_REGISTERS.length);
  const segments = values.segments('env.segs', SEGMENT_REGISTERS.length);
  return {
    number,
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
  };
}

/**
 * The CPUs of a guest in the order of their numbers. None where it has no description, and where the
 * processors that it describes are no x86-64. STREAM_INVALID where devices and description differ.
 */
export function cpusOf(device: DeviceState, label: string): readonly X86Cpu[] {
  if (device.description.length === 0) return [];
  const sections = deviceSectionsOf(device, label).filter(({ name }) => name === SECTION);
  try {
    return sections
      .map((section) => cpuOf(new Values(device.sections, section), section.instance))
      .toSorted((a, b) => a.number - b.number);
  } catch (thrown) {
    if (thrown instanceof NoSuchValue) return [];
    throw thrown;
  }
}
