// Where a kernel that was put together sees its memory, and what runs on its CPUs.

import { describe, expect, test } from '@jest/globals';
import { KernelSymbols } from '../../../domain/guest/kallsyms.ts';
import { directMapOf, imageOf } from '../../../domain/guest/kernel-view.ts';
import { kernelAt } from '../../../domain/guest/kernel.ts';
import { runningPid } from '../../../domain/guest/running-task.ts';
import type { X86Cpu } from '../../../domain/values/x86-cpu.ts';
import { cpusOf } from '../../../adapters/guests/qemu/cpu-state.ts';
import { cpusDevice } from '../../support/guest/cpu-bytes.ts';
import {
  directAddress,
  imageAddress,
  MADE_NOTE,
  madeKernel,
  pagesOfBytes,
  TASK,
  taskAt,
  type MadeMemory,
} from '../../support/guest/made-kernel.ts';

const kernelOf = ({ bytes }: MadeMemory) => kernelAt(pagesOfBytes(bytes), MADE_NOTE);

/** Symbols of these names and addresses. */
function symbolsOf(symbols: Readonly<Record<string, bigint>>): KernelSymbols {
  const names = Object.keys(symbols).map((name) => `d${name}`);
  let end = 0;
  return new KernelSymbols({
    addresses: BigUint64Array.from(Object.values(symbols)),
    text: new TextEncoder().encode(names.join('')),
    ends: Uint32Array.from(names, (name) => (end += name.length)),
  });
}

/** Where the kernel says, in the frame of its processes, at which address it has all memory. */
const MAP_AT = 0xfe0;
const MAP = symbolsOf({ page_offset_base: imageAddress(12, MAP_AT) });

describe('a kernel', () => {
  test('has its image where its code begins', async () => {
    expect(imageOf(await kernelOf(madeKernel()))).toEqual({
      virtual: imageAddress(0),
      physical: 0,
      length: 2 ** 26,
    });
  });

  test('has all memory where its variable says, or where kernels have it that have none', async () => {
    const base = directAddress(0);
    const made = madeKernel();
    made.u64(12, MAP_AT, base);
    expect(await directMapOf(await kernelOf(made), MAP)).toBe(base);
    expect(await directMapOf(await kernelOf(madeKernel()), null)).toBe(base);
  });

  test('that says what its page tables do not say is not believed', async () => {
    const made = madeKernel();
    for (const said of [
      0n,
      0xffff_9999_0000_0000n,
      directAddress(0) + 0x1000n,
      directAddress(0) + 1n,
    ]) {
      made.u64(12, MAP_AT, said);
      expect(await directMapOf(await kernelOf(made), MAP)).toBeNull();
    }
  });
});

describe('on a CPU', () => {
  const OWN = 0x300;
  const SYMBOLS = symbolsOf({ current_task: 0x20n });
  const [plain] = cpusOf(cpusDevice(1), 'it');
  const SEGMENT = { base: 0n, limit: 0, flags: 0 };

  const cpuOf = (of: { gs: bigint; kernelGs: bigint; isUser: boolean }): X86Cpu => ({
    ...plain!,
    segments: new Map([
      ...plain!.segments,
      ['cs', { ...SEGMENT, selector: of.isUser ? 0x33 : 0x10 }],
      ['gs', { ...SEGMENT, selector: 0, base: of.gs }],
    ]),
    kernelGsBase: of.kernelGs,
    cr8: null,
    float: null,
  });

  async function pidOn(
    cpu: X86Cpu,
    of: { readonly task?: bigint; readonly pid?: number; readonly symbols?: KernelSymbols } = {},
  ) {
    const made = madeKernel();
    const { task = imageAddress(12, taskAt(2)), pid, symbols = SYMBOLS } = of;
    made.u64(18, OWN + 0x20, task);
    if (pid !== undefined) made.u32(12, taskAt(2) + TASK.pid, pid);
    const { memory } = await kernelOf(made);
    return runningPid({ memory, symbols, pidOffset: TASK.pid }, cpu);
  }
  const base = directAddress(18, OWN);
  const inKernel = cpuOf({ gs: base, kernelGs: 0x7f00_0000_0000n, isUser: false });
  const inUser = cpuOf({ gs: 0x7f00_0000_0000n, kernelGs: base, isUser: true });

  test('runs the task that is its own, in the kernel and in a process', async () => {
    expect(await pidOn(inKernel)).toBe(7);
    expect(await pidOn(inUser)).toBe(7);
    expect(await pidOn(inKernel, { symbols: symbolsOf({ pcpu_hot: 0x20n }) })).toBe(7);
    // What a process says of its gs is not asked.
    expect(await pidOn(cpuOf({ gs: directAddress(9), kernelGs: base, isUser: true }))).toBe(7);
  });

  test('runs nothing that is known where the guest has nonsense there', async () => {
    expect(await pidOn(cpuOf({ gs: 0n, kernelGs: 0n, isUser: false }))).toBeNull();
    expect(await pidOn(inKernel, { symbols: symbolsOf({ other: 0n }) })).toBeNull();
    for (const task of [0n, 0x1000n, 2n ** 64n - 1n, imageAddress(500)])
      expect(await pidOn(inKernel, { task })).toBeNull();
    expect(await pidOn(inKernel, { pid: 2 ** 22 })).toBeNull();
  });
});
