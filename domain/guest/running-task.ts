// Which task of a Linux kernel runs on a CPU: its registers tell where the kernel keeps what is that
// CPU's own, and there lies the task.

import type { X86Cpu } from '../values/x86-cpu.ts';
import type { KernelSymbols } from './kallsyms.ts';
import type { VirtualMemory } from './virtual-memory.ts';

/** In the upper half of all addresses, which is the kernel's. */
const KERNEL_HALF = 2n ** 63n;
/** Processes have numbers below it. */
const PIDS = 2 ** 22;
/** Variables of each CPU that begin with its task: a later one has others behind it. */
const VARIABLES = ['current_task', 'pcpu_hot'] as const;
const USER_RIGHTS = 3;

/** Where a CPU's own variables are counted from; null: its registers do not tell. */
function baseOf({ segments, kernelGsBase }: X86Cpu): bigint | null {
  const gs = segments.get('gs')!.base;
  const isUser = (segments.get('cs')!.selector & USER_RIGHTS) === USER_RIGHTS;
  const bases = isUser ? [kernelGsBase, gs] : [gs, kernelGsBase];
  return bases.find((base) => base >= KERNEL_HALF) ?? null;
}

/** The number of the process that runs on a CPU, 0 where none does; null: it cannot be told. */
export async function runningPid(
  of: {
    readonly memory: VirtualMemory;
    readonly symbols: KernelSymbols;
    /** Where a task has its number. */
    readonly pidOffset: number;
  },
  cpu: X86Cpu,
): Promise<number | null> {
  const { memory, symbols, pidOffset } = of;
  const base = baseOf(cpu);
  const variable = VARIABLES.map((name) => symbols.addressOf(name)).find((at) => at !== null);
  if (base === null || variable === undefined) return null;
  const wordAt = async (address: bigint, lengthBytes: number): Promise<DataView | null> => {
    const bytes = await memory.tryRead(BigInt.asUintN(64, address), lengthBytes);
    return bytes === null ? null : new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  };
  const task = (await wordAt(base + variable, 8))?.getBigUint64(0, true) ?? 0n;
  if (task < KERNEL_HALF) return null;
  const pid = (await wordAt(task + BigInt(pidOffset), 4))?.getUint32(0, true);
  return pid === undefined || pid >= PIDS ? null : pid;
}
