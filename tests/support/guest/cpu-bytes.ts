// Sections of CPUs as QEMU writes them, put together by hand with their description: each value tells
// which it is.

import type { DeviceState } from '../../../domain/values/device-state.ts';
import * as stream from './stream-bytes.ts';

interface Field {
  readonly name: string;
  readonly size: number;
  readonly array_len?: number;
  readonly struct?: { readonly fields: readonly Field[] };
}

const SEGMENT: readonly Field[] = [
  { name: 'selector', size: 4 },
  { name: 'base', size: 8 },
  { name: 'limit', size: 4 },
  { name: 'flags', size: 4 },
];
const segments = (name: string, count = 1): Field => ({
  name,
  size: SEGMENT.reduce((sum, { size }) => sum + size, 0),
  ...(count === 1 ? {} : { array_len: count }),
  struct: { fields: SEGMENT },
});
const values = (names: readonly string[]): Field[] => names.map((name) => ({ name, size: 8 }));

/** What matters of QEMU's own, with a field between that does not. */
const FIELDS: readonly Field[] = [
  { name: 'env.regs', size: 8, array_len: 16 },
  ...values(['env.eip', 'env.eflags']),
  { name: 'env.hflags', size: 4 },
  segments('env.segs', 6),
  ...['env.ldt', 'env.tr', 'env.gdt', 'env.idt'].map((name) => segments(name)),
  ...values(['env.cr[0]', 'env.cr[2]', 'env.cr[3]', 'env.cr[4]', 'env.efer', 'env.kernelgsbase']),
];

/** A value that nothing else has: which it is of which CPU. */
export const madeValue = (cpu: number, index: number): bigint =>
  0x1100_0000_0000_0000n + BigInt(cpu) * 0x1_0000_0000n + BigInt(index);

/** The state of a guest of so many CPUs; values are numbered in the order of their fields. */
export function cpusDevice(cpus: number, fields: readonly Field[] = FIELDS): DeviceState {
  const sections: Uint8Array[] = [];
  for (let cpu = 0; cpu < cpus; cpu += 1) {
    let index = 0;
    const put = (size: number): Buffer => {
      const value = madeValue(cpu, index);
      index += 1;
      return size === 8 ? stream.u64(value) : stream.u32(Number(BigInt.asUintN(32, value)));
    };
    const body = fields.flatMap(({ size, array_len: count = 1, struct }) =>
      Array.from({ length: count }, () =>
        struct === undefined ? [put(size)] : struct.fields.map((member) => put(member.size)),
      ).flat(),
    );
    // The last CPU comes first: the order of sections is QEMU's choice.
    sections.unshift(stream.deviceSection({ section: 10 + cpu, name: 'cpu', instance: cpu }, body));
  }
  const devices = sections.map((_, i) => ({
    name: 'cpu',
    instance_id: cpus - 1 - i,
    version: 1,
    fields,
  }));
  return {
    head: stream.head(),
    sections: stream.bytesOf(...sections),
    description: Buffer.from(JSON.stringify({ page_size: 4096, devices })),
  };
}

/** The same of a processor of another kind: it has registers of other numbers. */
export const otherCpusDevice = (cpus: number): DeviceState =>
  cpusDevice(cpus, [
    { name: 'env.regs', size: 4, array_len: 16 },
    { name: 'env.pc', size: 8 },
  ]);
