import { describe, expect, test } from '@jest/globals';
import { cpusOf } from '../../../../adapters/guests/qemu/cpu-state.ts';
import { cpusDevice, madeValue, otherCpusDevice } from '../../../support/guest/cpu-bytes.ts';
import * as stream from '../../../support/guest/stream-bytes.ts';

const u32 = (value: bigint): number => Number(BigInt.asUintN(32, value));

describe("a guest's CPUs", () => {
  test('have the registers that their description tells of, in the order of their numbers', () => {
    const cpus = cpusOf(cpusDevice(3), 'it');
    expect(cpus.map(({ number }) => number)).toEqual([0, 1, 2]);
    for (const cpu of cpus) {
      const value = (index: number): bigint => madeValue(cpu.number, index);
      expect([...cpu.general]).toEqual(
        'rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15'
          .split(' ')
          .map((name, i) => [name, value(i)]),
      );
      expect([cpu.rip, cpu.rflags]).toEqual([value(16), value(17)]);
      expect([...cpu.segments]).toEqual(
        'es cs ss ds fs gs ldt tr gdt idt'.split(' ').map((name, i) => [
          name,
          {
            selector: u32(value(19 + 4 * i)),
            base: value(20 + 4 * i),
            limit: u32(value(21 + 4 * i)),
            flags: u32(value(22 + 4 * i)),
          },
        ]),
      );
      const { cr0, cr2, cr3, cr4, efer, kernelGsBase } = cpu;
      expect([cr0, cr2, cr3, cr4, efer, kernelGsBase]).toEqual([59, 60, 61, 62, 63, 64].map(value));
    }
  });

  test('are none where they are of another kind, not described or not there', () => {
    expect(cpusOf(otherCpusDevice(2), 'it')).toEqual([]);
    expect(cpusOf({ ...cpusDevice(2), description: new Uint8Array(0) }, 'it')).toEqual([]);
    expect(cpusOf({ head: stream.head(), ...stream.devices() }, 'it')).toEqual([]);
  });
});
