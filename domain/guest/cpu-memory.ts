// What of its memory a CPU uses before all else when its guest goes on: page tables, the code that it is
// in, its stack and where that leads back to, the tables of interrupts and what they lead to.

import type { GuestPages } from '../ports/guest-pages.ts';
import { PAGE_BYTES } from '../values/page.ts';
import type { SegmentRegister, X86Cpu } from '../values/x86-cpu.ts';
import { NotedPages } from './noted-pages.ts';
import { PhysicalMemory, toPageEnd, VirtualMemory, type PageRoot } from './virtual-memory.ts';

const CR0_PAGING = 1n << 31n;
const CR4_FIVE_LEVELS = 1n << 12n;
const EFER_LONG = 1n << 10n;
/** One past the last frame that addresses lead to. */
export const FRAMES_MAX = 2n ** 40n;

/** By what a CPU finds its memory: nothing stands between, or page tables; null: as no 64-bit kernel does. */
export function pagingOf({ cr0, cr3, cr4, efer }: X86Cpu): PageRoot | 'none' | null {
  if ((cr0 & CR0_PAGING) === 0n) return 'none';
  if ((efer & EFER_LONG) === 0n) return null;
  const frame = Number((cr3 >> 12n) & (FRAMES_MAX - 1n));
  return { frame, levels: (cr4 & CR4_FIVE_LEVELS) === 0n ? 4 : 5 };
}

/** Words of a stack that are looked at for where it leads back to. */
const STACK_WORDS_MAX = 128;
/** A descriptor of an interrupt in 64-bit mode has the address of its handler in three parts. */
const GATE_BYTES = 16;
const GATES = 256;
const BASES: readonly SegmentRegister[] = ['gs', 'fs', 'tr', 'gdt', 'idt'];

/** The handlers of interrupts: one address of each page that has some. */
function handlersIn(table: Uint8Array): readonly bigint[] {
  const view = new DataView(table.buffer, table.byteOffset, table.length);
  const found = new Map<bigint, bigint>();
  for (let at = 0; at + GATE_BYTES <= table.length; at += GATE_BYTES) {
    const low =
      BigInt(view.getUint16(at, true) | (view.getUint16(at + 6, true) << 16)) & 0xffff_ffffn;
    const address = (BigInt(view.getUint32(at + 8, true)) << 32n) | low;
    if (address !== 0n) found.set(address >> 12n, address);
  }
  return [...found.values()];
}

/** The words of a stack from its top on, as far as its page goes. */
function wordsIn(stack: Uint8Array): readonly bigint[] {
  const view = new DataView(stack.buffer, stack.byteOffset, stack.length);
  const words = Math.min(STACK_WORDS_MAX, Math.floor(stack.length / 8));
  return Array.from({ length: words }, (_, i) => view.getBigUint64(i * 8, true));
}

/**
 * At most so many of the frames that CPUs use first when they go on, those that are needed first before the
 * others; each of them is memory. What a CPU's registers lead to nowhere is left out. How many CPUs there
 * are, and where they lead, is the recorded guest's to say. Cost: some ten pages are read of a CPU, and of
 * no more CPUs than frames are wanted.
 */
export async function framesInUse(
  pages: GuestPages,
  cpus: readonly X86Cpu[],
  framesMax: number,
): Promise<readonly number[]> {
  const frames = new Set<number>();
  const noted = new NotedPages(pages, (frame, isRead) => {
    if (isRead) frames.add(frame);
  });
  const physical = new PhysicalMemory(noted);
  for (const cpu of cpus.slice(0, framesMax)) {
    if (frames.size >= framesMax) break;
    const root = pagingOf(cpu);
    if (root === null || root === 'none') continue;
    const memory = new VirtualMemory(physical, root);
    const add = async (addresses: Iterable<bigint>): Promise<void> => {
      for (const address of addresses) {
        if (frames.size >= framesMax) return;
        const frame = await memory.frameOf(address);
        if (frame !== null) frames.add(frame);
      }
    };
    const stack = cpu.general.get('rsp')!;
    await add([cpu.rip, stack]);
    await add([cpu.kernelGsBase, ...BASES.map((name) => cpu.segments.get(name)!.base)]);
    const gates = await memory.tryRead(cpu.segments.get('idt')!.base, GATES * GATE_BYTES);
    if (gates !== null) await add(handlersIn(gates));
    const top = await memory.tryRead(stack, Math.min(toPageEnd(stack), PAGE_BYTES));
    await add([...cpu.general.values(), ...(top === null ? [] : wordsIn(top))]);
  }
  return [...frames].slice(0, framesMax);
}
