import { expect, test } from '@jest/globals';
import { kernelAt } from '../../../domain/guest/kernel.ts';
import { isRunning } from '../../../domain/guest/running-kernel.ts';
import type { X86Cpu } from '../../../domain/values/x86-cpu.ts';
import { MADE_NOTE, madeKernel, pagesOfBytes } from '../../support/guest/made-kernel.ts';

/** A process's tables, and frames whose tables are others'. */
const PROCESS = 22;
const ELSEWHERE = 14;

const made = madeKernel();
// A process has the kernel's half as the kernel has it.
made.put(PROCESS, 0, made.bytes.subarray(4096, 2 * 4096));
const kernel = await kernelAt(pagesOfBytes(made.bytes), MADE_NOTE);

const cpuAt = (frame: number): X86Cpu =>
  ({ cr3: BigInt(frame) * 4096n + 0x8000_0000_0000_0018n }) as unknown as X86Cpu;

test("a kernel runs where a processor uses tables that have its code, a process's too", async () => {
  for (const frame of [kernel.memory.root.frame, PROCESS])
    expect(await isRunning(kernel, [cpuAt(ELSEWHERE), cpuAt(frame)])).toBe(true);
});

test('a kernel runs where the tables of a program lie behind those that have its code', async () => {
  expect(await isRunning(kernel, [cpuAt(PROCESS + 1)])).toBe(true);
});

test('a kernel does not run where processors use other tables, none, or are not known', async () => {
  for (const frame of [ELSEWHERE, 2 ** 39])
    expect(await isRunning(kernel, [cpuAt(frame)])).toBe(false);
  expect(await isRunning(kernel, [])).toBe(false);
});
