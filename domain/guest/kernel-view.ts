// Where a Linux kernel sees its memory, for those who read a core of it by the kernel's addresses: its
// image, and the map of all memory that it works in. What symbols say of the map is believed once the
// kernel's page tables say so too.

import { PAGE_BYTES } from '../values/page.ts';
import type { KernelSymbols } from './kallsyms.ts';
import type { Kernel } from './kernel.ts';
import { physicalOf, requiredSymbol } from './vmcoreinfo.ts';

/** A stretch of memory as the kernel sees it. */
export interface KernelStretch {
  readonly virtual: bigint;
  readonly physical: number;
  readonly length: number;
}

/** Enough for the code and the data of any kernel. */
const IMAGE_BYTES = 64 * 1024 * 1024;
const MAP_VARIABLE = 'page_offset_base';
/** Where kernels that do not move the map have it, by levels of page tables. */
const FIXED_MAPS = { 4: 0xffff_8880_0000_0000n, 5: 0xff11_0000_0000_0000n } as const;

/** The kernel's image, from the page on that its code begins in. */
export function imageOf({ info }: Kernel): KernelStretch {
  // Its page tables lead there, or it would have been taken for none.
  const code = requiredSymbol(info, '_stext');
  const virtual = code - (code % BigInt(PAGE_BYTES));
  return { virtual, physical: physicalOf(info, virtual)!, length: IMAGE_BYTES };
}

/** The virtual address of guest-physical address 0; null: it is not known. */
export async function directMapOf(
  { memory, info }: Kernel,
  symbols: KernelSymbols | null,
): Promise<bigint | null> {
  const variable = symbols?.addressOf(MAP_VARIABLE) ?? null;
  const bytes = variable === null ? null : await memory.tryRead(variable, 8);
  const base =
    bytes === null
      ? FIXED_MAPS[info.levels]
      : new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true);
  // Somewhere in the middle of memory, where the kernel itself lies.
  const code = Math.floor(physicalOf(info, requiredSymbol(info, '_stext'))! / PAGE_BYTES);
  const known = BigInt.asUintN(64, base + BigInt(code * PAGE_BYTES));
  return base % BigInt(PAGE_BYTES) === 0n && (await memory.frameOf(known)) === code ? base : null;
}
