// What is said of a guest's kernel in a core of it: as much as can be read from its memory.

import { hexAddress, isGuestFailure } from '../../../domain/guest/guest-failures.ts';
import { directMapOf, imageOf } from '../../../domain/guest/kernel-view.ts';
import type { Kernel } from '../../../domain/guest/kernel.ts';
import { runningPid } from '../../../domain/guest/running-task.ts';
import type { GuestKernel } from '../../../domain/ports/guests.ts';
import { isRefused } from '../../../domain/values/refused.ts';
import type { X86Cpu } from '../../../domain/values/x86-cpu.ts';
import { cpusOf } from '../../guests/qemu/cpu-state.ts';
import { kernelOf, type GuestPoint } from './guest.ts';
import { readDescription } from './kernel-description.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { PointMemory } from './point-memory.ts';
import { deviceStateOf } from '../restore/restore.ts';

type Description = Awaited<ReturnType<typeof readDescription>>;

/** What can be told of a guest; null: its memory does not tell. */
async function told<A>(work: () => Promise<A>): Promise<A | null> {
  try {
    return await work();
  } catch (thrown) {
    if (isGuestFailure(thrown)) return null;
    throw thrown;
  }
}

/** The processes that run on CPUs; null for each of which it cannot be told. */
async function runningOn(
  cpus: readonly X86Cpu[],
  { memory }: Kernel,
  description: Description,
): Promise<(number | null)[]> {
  const { symbols, layouts } = description;
  const layout = await told(async () => layouts());
  if (layout === null) return cpus.map(() => null);
  const pids: (number | null)[] = [];
  for (const cpu of cpus)
    pids.push(await runningPid({ memory, symbols, pidOffset: layout.tasks.pid }, cpu));
  return pids;
}

/**
 * What a guest's kernel says of itself at a point, for a core of it. GUEST_UNDESCRIBED, GUEST_INVALID
 * where there is none that can be read; refused where several are and none is chosen. What of it cannot
 * be read (symbols of kernels before 6.0) is left out.
 */
export async function coreKernelOf(ledger: Ledger, point: GuestPoint): Promise<GuestKernel> {
  const memory = await PointMemory.open(ledger, point);
  const kernel = await kernelOf(ledger, point, memory);
  const of = { vm: point.entry.vm, standIns: point.standIns };
  const description = await told(() => readDescription(ledger, of, kernel));
  const device = point.row.hasDevice ? await deviceStateOf(ledger, point) : null;
  const cpus = device === null ? [] : cpusOf(device, 'the capture');
  return {
    release: kernel.info.release,
    vmcoreinfo: kernel.info.text,
    image: imageOf(kernel),
    directMap: await directMapOf(kernel, description?.symbols ?? null),
    running: description === null ? [] : await runningOn(cpus, kernel, description),
  };
}

/** The same; null: there is none that can be read. */
export const knownCoreKernel = (ledger: Ledger, point: GuestPoint): Promise<GuestKernel | null> =>
  told(() => coreKernelOf(ledger, point));

/**
 * The words by which crash is told where a point's kernel lies in raw memory; null: no kernel tells, or
 * several do. Cost: as of any question about a guest, all pages the first time.
 */
export async function crashWords(
  ledger: Ledger,
  point: GuestPoint,
): Promise<readonly string[] | null> {
  try {
    const memory = await PointMemory.open(ledger, point);
    const { physBase, kernelOffset } = (await kernelOf(ledger, point, memory)).info;
    const base = BigInt.asUintN(64, physBase);
    return ['--machdep', `phys_base=${hexAddress(base)}`, `--kaslr=${hexAddress(kernelOffset)}`];
  } catch (thrown) {
    if (isGuestFailure(thrown) || isRefused(thrown)) return null;
    throw thrown;
  }
}
