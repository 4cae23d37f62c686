// A Linux kernel in a guest's memory: found by its page of VMCOREINFO, believed once its own page tables
// lead to where it says it lies, and then read by its own addresses.

import type { GuestPages } from '../ports/guest-pages.ts';
import { PAGE_BYTES } from '../values/page.ts';
import { Btf, BTF_BYTES_MAX } from './btf.ts';
import { hexAddress, invalid, undescribed } from './guest-failures.ts';
import type { KernelSymbols } from './kallsyms.ts';
import { PhysicalMemory, VirtualMemory } from './virtual-memory.ts';
import { parseVmcoreinfo, physicalOf, requiredSymbol, type Vmcoreinfo } from './vmcoreinfo.ts';

/** A kernel, and its memory by its addresses. */
export interface Kernel {
  /** The frame of its page of VMCOREINFO; where that was told from elsewhere, the one its code begins in. */
  readonly noteFrame: number;
  readonly info: Vmcoreinfo;
  readonly memory: VirtualMemory;
}

/** The kernel that a page tells of. GUEST_INVALID where its page tables do not lead to itself. */
export async function kernelAt(pages: GuestPages, noteFrame: number): Promise<Kernel> {
  const physical = new PhysicalMemory(pages);
  const page = await physical.page(noteFrame);
  if (page === null) throw invalid('a page of VMCOREINFO is not memory', { frame: noteFrame });
  return { ...(await kernelOfInfo(physical, parseVmcoreinfo(page))), noteFrame };
}

/** The kernel of which VMCOREINFO tells. GUEST_INVALID where its page tables do not lead to itself. */
export async function kernelOfInfo(physical: PhysicalMemory, info: Vmcoreinfo): Promise<Kernel> {
  const root = physicalOf(info, requiredSymbol(info, 'swapper_pg_dir'));
  if (root === null || root % PAGE_BYTES !== 0)
    throw invalid('VMCOREINFO names no place for page tables');
  const levels = info.levels;
  const memory = new VirtualMemory(physical, { frame: root / PAGE_BYTES, levels });
  const stext = requiredSymbol(info, '_stext');
  const [expected, found] = [physicalOf(info, stext), await memory.frameOf(stext)];
  if (expected === null || found !== Math.floor(expected / PAGE_BYTES))
    throw invalid(`the kernel's page tables do not lead to its code at ${hexAddress(stext)}`);
  return { noteFrame: found, info, memory };
}

/** What tells kernels of one memory apart: one that has another ready for crashes keeps its page twice. */
export const kernelKey = ({ memory: { root } }: Kernel): number => root.frame * 8 + root.levels;

/** The types of a kernel. GUEST_UNDESCRIBED where it keeps none; GUEST_INVALID. */
export async function readBtf({ memory, info }: Kernel, symbols: KernelSymbols): Promise<Btf> {
  const from = symbols.addressOf('__start_BTF');
  const end = symbols.addressOf('__stop_BTF');
  if (from === null || end === null || from === end)
    throw undescribed(
      `Linux ${info.release} keeps no description of its types (CONFIG_DEBUG_INFO_BTF)`,
    );
  if (end < from || end - from > BigInt(BTF_BYTES_MAX))
    throw invalid(`its BTF is said to lie from ${hexAddress(from)} to ${hexAddress(end)}`);
  return new Btf(await memory.read(from, Number(end - from), 'its BTF'));
}
