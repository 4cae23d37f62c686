// Whether a kernel that was found in a guest's memory is the one that runs: what is left of an earlier boot
// may lie there as whole as what runs now.

import type { X86Cpu } from '../values/x86-cpu.ts';
import type { Kernel } from './kernel.ts';
import { requiredSymbol } from './vmcoreinfo.ts';

const FRAME_MASK = 2n ** 40n - 1n;

/** Whether page tables that a CPU uses lead to a kernel's code where its own do. */
export async function isRunning(
  { info, memory }: Kernel,
  cpus: readonly X86Cpu[],
): Promise<boolean> {
  const code = requiredSymbol(info, '_stext');
  const own = await memory.frameOf(code);
  for (const { cr3 } of cpus) {
    const frame = Number((cr3 >> 12n) & FRAME_MASK);
    // Where programs have tables of their own without the kernel, its lie in the frame before.
    for (const root of new Set([frame, frame - (frame % 2)]))
      if (own !== null && (await memory.at(root).frameOf(code)) === own) return true;
  }
  return false;
}
