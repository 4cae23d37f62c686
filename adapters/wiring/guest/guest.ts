// What a Linux guest says of itself at a point: its kernel, symbols and types out of its memory, and what
// is asked of them.

import type { Btf } from '../../../domain/guest/btf.ts';
import { hexAddress, isGuestFailure, undescribed } from '../../../domain/guest/guest-failures.ts';
import type { KernelSymbol, KernelSymbols } from '../../../domain/guest/kallsyms.ts';
import { readKernelLog, type KernelMessage } from '../../../domain/guest/kernel-log.ts';
import { kernelAt, kernelKey, kernelOfInfo, type Kernel } from '../../../domain/guest/kernel.ts';
import { isRunning } from '../../../domain/guest/running-kernel.ts';
import { TaskReader, type Task } from '../../../domain/guest/tasks.ts';
import { PhysicalMemory, type VirtualMemory } from '../../../domain/guest/virtual-memory.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { refuse } from '../../../domain/values/refused.ts';
import { KernelNotes } from './kernel-notes.ts';
import { cpusAt } from './recorded-cpus.ts';
import { readDescription, type Layouts } from './kernel-description.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { PointMemory } from './point-memory.ts';
import { standInInfo, type KernelChoice } from './stand-ins.ts';
import type { VmPoint } from '../ledger/vm-point.ts';

/** A point, and which of the kernels in its memory is meant. */
export interface GuestPoint extends VmPoint, KernelChoice {}

/** A guest that was found at a point. */
export interface DescribedGuest {
  readonly memory: PointMemory;
  readonly kernel: Kernel;
  readonly symbols: KernelSymbols;
  /** What was read from its types. GUEST_UNDESCRIBED where it keeps none. */
  readonly layouts: () => Layouts;
  /** All of its types, read anew. GUEST_UNDESCRIBED where it keeps none; GUEST_INVALID. */
  readonly types: () => Promise<Btf>;
}

const nameOf = ({ entry, row }: VmPoint): string => `${entry.vm}@${row.capture}`;

/** Kernels whose page tables lead to themselves, each once, and why others are none. */
async function kernelsIn(memory: PointMemory, notes: readonly number[]) {
  const kernels: Kernel[] = [];
  const known = new Set<number>();
  let failure: Error | null = null;
  for (const note of notes)
    try {
      const kernel = await kernelAt(memory, note);
      // A guest may have as many as it has pages.
      if (known.has(kernelKey(kernel))) continue;
      known.add(kernelKey(kernel));
      kernels.push(kernel);
    } catch (thrown) {
      if (!isGuestFailure(thrown)) throw thrown;
      failure ??= thrown;
    }
  return { kernels, failure };
}

/** Kernels that a sentence names. */
const NAMED_MAX = 8;

const kernelText = ({ info, noteFrame }: Kernel, i: number): string =>
  `${i + 1}: Linux ${info.release} (VMCOREINFO at 0x${(noteFrame * PAGE_BYTES).toString(16)})`;

/** Kernels as a message names them: a guest may have as many as it has pages. */
function kernelTexts(kernels: readonly Kernel[]): readonly string[] {
  const named = kernels.slice(0, NAMED_MAX).map(kernelText);
  return kernels.length > NAMED_MAX ? [...named, `${kernels.length - NAMED_MAX} more`] : named;
}

/**
 * A kernel that was found at another capture, and still runs: no other is looked for. Null: none does, or
 * this capture was looked through.
 */
async function runningKernel(
  ledger: Ledger,
  point: GuestPoint,
  { memory, notes }: { readonly memory: PointMemory; readonly notes: KernelNotes },
): Promise<Kernel | null> {
  if (point.kernel !== null || !point.row.hasDevice || (await notes.haveThis())) return null;
  const kernel = await kernelAmong(memory, { frames: await notes.known(), kernel: null });
  if (kernel === null) return null;
  return (await isRunning(kernel, await cpusAt(ledger, point))) ? kernel : null;
}

/**
 * The kernel in a guest's memory. GUEST_UNDESCRIBED where there is none that tells of itself; refused
 * where several do and none is chosen. Cost: the first time for a VM, all its pages are read once; then
 * those that changed since the capture that was looked through last, where it is not the one that ran.
 */
export async function kernelOf(
  ledger: Ledger,
  point: GuestPoint,
  memory: PointMemory,
): Promise<Kernel> {
  const told = point.standIns?.vmcoreinfo ?? null;
  if (told !== null) {
    const info = await standInInfo(ledger.files, told);
    return kernelOfInfo(new PhysicalMemory(memory), info);
  }
  const notes = new KernelNotes(ledger, point);
  const running = await runningKernel(ledger, point, { memory, notes });
  if (running !== null) return running;
  const { kernels, failure } = await kernelsIn(memory, await notes.in(memory));
  if (kernels.length === 0) {
    const why =
      failure === null
        ? 'no page begins as the VMCOREINFO of a Linux kernel'
        : `there is a page of VMCOREINFO, but ${failure.message}`;
    throw undescribed(
      `no Linux kernel that tells of itself is in ${nameOf(point)}: ${why}; \`read --page\` and \`--address\` work all the same`,
    );
  }
  const { kernel: number } = point;
  if (number === null && kernels.length > 1)
    throw refuse({ _tag: 'KernelAmbiguous', kernels: kernelTexts(kernels) });
  const kernel = kernels[(number ?? 1) - 1];
  if (kernel !== undefined) return kernel;
  throw refuse({ _tag: 'KernelUnknown', number: number!, kernels: kernels.length });
}

/**
 * The kernel that tells of itself in one of these frames; null: none does, or several and none of them is
 * chosen. What else is in the memory is not looked at.
 */
export async function kernelAmong(
  memory: PointMemory,
  of: { readonly frames: readonly number[]; readonly kernel: number | null },
): Promise<Kernel | null> {
  const { kernels } = await kernelsIn(memory, of.frames);
  if (of.kernel === null) return kernels.length === 1 ? kernels[0]! : null;
  return kernels[of.kernel - 1] ?? null;
}

/** What a guest says of itself. GUEST_UNDESCRIBED, GUEST_INVALID. */
export async function describeGuest(ledger: Ledger, point: GuestPoint): Promise<DescribedGuest> {
  const memory = await PointMemory.open(ledger, point);
  const kernel = await kernelOf(ledger, point, memory);
  return {
    memory,
    kernel,
    ...(await readDescription(ledger, { vm: point.entry.vm, standIns: point.standIns }, kernel)),
  };
}

/** Reads the processes of a guest. */
export const tasksIn = ({ kernel, symbols, layouts }: DescribedGuest) => {
  const reader = new TaskReader(kernel.memory, layouts().tasks);
  return { reader, all: () => reader.all(symbols) };
};

/** The processes of a guest at a point, by pid. */
export async function processesOf(ledger: Ledger, point: GuestPoint): Promise<readonly Task[]> {
  return tasksIn(await describeGuest(ledger, point)).all();
}

/** The messages of a guest's kernel at a point, oldest first. */
export async function messagesOf(
  ledger: Ledger,
  point: GuestPoint,
): Promise<readonly KernelMessage[]> {
  const memory = await PointMemory.open(ledger, point);
  return readKernelLog(await kernelOf(ledger, point, memory));
}

/** A symbol, and how far behind it what was asked for lies. */
export interface FoundSymbol extends KernelSymbol {
  readonly offset: number;
}

/** Symbols of a kernel: all, those of a name, or the one at an address or nearest below it. */
export async function* symbolsOf(
  ledger: Ledger,
  point: GuestPoint,
  of: { readonly name: string } | { readonly address: bigint } | null,
): AsyncGenerator<FoundSymbol> {
  const { symbols, kernel } = await describeGuest(ledger, point);
  const { release } = kernel.info;
  if (of === null) {
    for (let i = 0; i < symbols.count; i += 1) yield { ...symbols.at(i), offset: 0 };
    return;
  }
  if ('address' in of) {
    const symbol = symbols.nearest(of.address);
    if (symbol === null)
      throw refuse({ _tag: 'SymbolUnknown', name: hexAddress(of.address), release });
    yield { ...symbol, offset: Number(of.address - symbol.address) };
    return;
  }
  let found = 0;
  for (const symbol of symbols.named(of.name)) {
    found += 1;
    yield { ...symbol, offset: 0 };
  }
  if (found === 0) throw refuse({ _tag: 'SymbolUnknown', name: of.name, release });
}

/** Where bytes are read from: by the guest's own addresses. */
export type VirtualPlace =
  { readonly address: bigint; readonly pid: number | null } | { readonly symbol: string };

/** Memory by the addresses of a kernel or a process, and where to begin in it. */
export async function virtualMemoryAt(
  ledger: Ledger,
  point: GuestPoint,
  place: VirtualPlace,
): Promise<{
  readonly memory: PointMemory;
  readonly virtual: VirtualMemory;
  readonly address: bigint;
}> {
  const guest = await describeGuest(ledger, point);
  const { memory, kernel, symbols } = guest;
  if ('symbol' in place) {
    const address = symbols.addressOf(place.symbol);
    if (address !== null) return { memory, virtual: kernel.memory, address };
    const { release } = kernel.info;
    throw refuse({ _tag: 'SymbolUnknown', name: place.symbol, release });
  }
  const { address, pid } = place;
  if (pid === null) return { memory, virtual: kernel.memory, address };
  const virtual = await tasksIn(guest).reader.memoryOf(symbols, pid);
  if (virtual === null) throw refuse({ _tag: 'ProcessUnknown', pid, point: nameOf(point) });
  return { memory, virtual, address };
}
