// Whose addresses are meant, at any moment of a guest's past: those of its hardware, of page tables that
// are known (a CPU's), of its kernel, or of a process, whose tables are looked for in the memory of each
// moment. What the guest's kernel says of itself is taken from one moment; where another boot lies there,
// which its page of VMCOREINFO tells, none of it holds.

import { FRAMES_MAX, pagingOf } from '../../../domain/guest/cpu-memory.ts';
import { isGuestFailure } from '../../../domain/guest/guest-failures.ts';
import { TaskReader, type Task } from '../../../domain/guest/tasks.ts';
import {
  PhysicalMemory,
  toPageEnd,
  VirtualMemory,
  withinPage,
  type PageRoot,
} from '../../../domain/guest/virtual-memory.ts';
import type { GuestPages } from '../../../domain/ports/guest-pages.ts';
import type { X86Cpu } from '../../../domain/values/x86-cpu.ts';
import type { DescribedGuest } from '../guest/guest.ts';

/** From here on addresses are the kernel's, in every process. */
export const KERNEL_HALF = 2n ** 63n;

/** Whose addresses they are. */
export type AddressSpace =
  | { readonly kind: 'physical' }
  /** Of page tables that begin there. */
  | { readonly kind: 'tables'; readonly root: PageRoot }
  | { readonly kind: 'kernel' }
  | { readonly kind: 'process'; readonly pid: number };

/** Whose addresses a CPU uses; null: it translates as no 64-bit kernel does. */
export function spaceOf(cpu: X86Cpu): AddressSpace | null {
  const paging = pagingOf(cpu);
  if (paging === null) return null;
  return paging === 'none' ? { kind: 'physical' } : { kind: 'tables', root: paging };
}

/** What a guest's kernel said of itself at one moment, held against the memory of others. */
export class KnownKernel {
  readonly guest: DescribedGuest;
  readonly #note: Uint8Array;
  /** Processes that were looked for in a memory, for as long as that is kept. */
  readonly #processes = new WeakMap<GuestPages, Map<number, VirtualMemory | null>>();

  private constructor(guest: DescribedGuest, note: Uint8Array) {
    this.guest = guest;
    this.#note = note;
  }

  static async of(guest: DescribedGuest): Promise<KnownKernel> {
    const { memory, kernel } = guest;
    return new KnownKernel(guest, await memory.read([kernel.noteFrame]));
  }

  /** The kernel's memory at a moment; null: another boot is there. */
  async memoryIn(memory: GuestPages): Promise<VirtualMemory | null> {
    const { noteFrame, memory: own } = this.guest.kernel;
    if (!memory.has(noteFrame)) return null;
    const note = await memory.read([noteFrame]);
    const isSame = note.every((byte, i) => byte === this.#note[i]);
    return isSame ? new VirtualMemory(new PhysicalMemory(memory), own.root) : null;
  }

  /** The processes at a moment. GUEST_INVALID, GUEST_UNDESCRIBED. */
  async tasksIn(memory: GuestPages): Promise<readonly Task[]> {
    const kernel = await this.memoryIn(memory);
    return kernel === null ? [] : this.#readerOf(kernel).all(this.guest.symbols);
  }

  #readerOf(kernel: VirtualMemory): TaskReader {
    return new TaskReader(kernel, this.guest.layouts().tasks);
  }

  /** A process's memory at a moment; null: there is none. */
  async processIn(memory: GuestPages, pid: number): Promise<VirtualMemory | null> {
    const kept = this.#processes.get(memory) ?? new Map<number, VirtualMemory | null>();
    const known = kept.get(pid);
    if (known !== undefined) return known;
    const found = await this.#findProcess(memory, pid);
    this.#processes.set(memory, kept.set(pid, found));
    return found;
  }

  async #findProcess(memory: GuestPages, pid: number): Promise<VirtualMemory | null> {
    const kernel = await this.memoryIn(memory);
    if (kernel === null) return null;
    try {
      return await this.#readerOf(kernel).memoryOf(this.guest.symbols, pid);
    } catch (thrown) {
      if (isGuestFailure(thrown)) return null;
      throw thrown;
    }
  }
}

/** The memories in which an address is looked for, one after the other. */
async function memoriesOf(
  memory: GuestPages,
  of: { readonly space: AddressSpace; readonly kernel: KnownKernel | null },
  address: bigint,
): Promise<readonly VirtualMemory[]> {
  const { space, kernel } = of;
  const own = async (): Promise<VirtualMemory | null> => {
    if (space.kind === 'tables') return new VirtualMemory(new PhysicalMemory(memory), space.root);
    if (space.kind === 'process') return (await kernel?.processIn(memory, space.pid)) ?? null;
    return null;
  };
  const found = [await own()];
  // A process's tables may be those that hide the kernel from it.
  if (address >= KERNEL_HALF || space.kind === 'kernel')
    found.push((await kernel?.memoryIn(memory)) ?? null);
  return found.filter((each) => each !== null);
}

/** The page that an address lies in; null: none. */
async function pageAt(
  memory: GuestPages,
  virtual: readonly VirtualMemory[] | null,
  address: bigint,
): Promise<Uint8Array | null> {
  if (virtual === null) {
    const frame = address >> 12n;
    if (frame >= FRAMES_MAX || !memory.has(Number(frame))) return null;
    return memory.read([Number(frame)]);
  }
  for (const each of virtual) {
    const frame = await each.frameOf(address);
    if (frame !== null) return each.physical.page(frame);
  }
  return null;
}

/** Bytes from an address on, as many of them as lie one after the other: there may be none. */
export async function bytesAt(
  memory: GuestPages,
  of: { readonly space: AddressSpace; readonly kernel: KnownKernel | null },
  { address, length }: { readonly address: bigint; readonly length: number },
): Promise<Uint8Array> {
  const virtual = of.space.kind === 'physical' ? null : await memoriesOf(memory, of, address);
  const bytes = new Uint8Array(length);
  let read = 0;
  while (read < length) {
    const at = BigInt.asUintN(64, address + BigInt(read));
    const page = await pageAt(memory, virtual, at);
    if (page === null) break;
    const from = withinPage(at);
    const part = page.subarray(from, from + Math.min(toPageEnd(at), length - read));
    bytes.set(part, read);
    read += part.length;
  }
  return bytes.subarray(0, read);
}

/** The guest-physical address that an address leads to; null: none. */
export async function physicalAt(
  memory: GuestPages,
  of: { readonly space: AddressSpace; readonly kernel: KnownKernel | null },
  address: bigint,
): Promise<bigint | null> {
  if (of.space.kind === 'physical') return memory.has(Number(address >> 12n)) ? address : null;
  for (const each of await memoriesOf(memory, of, address)) {
    const frame = await each.frameOf(address);
    if (frame !== null) return (BigInt(frame) << 12n) + BigInt(withinPage(address));
  }
  return null;
}
