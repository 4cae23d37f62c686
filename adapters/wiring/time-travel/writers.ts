// Who may have written bytes that changed: the history knows no instructions, but whose page it was, and
// which processes ran on the CPUs, at the first capture that has the change.

import type { PageOwner } from '../../../domain/guest/owner-table.ts';
import { runningPid } from '../../../domain/guest/running-task.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { ownersOfVersions } from '../guest/owners-of-versions.ts';
import type { AddressSpace, KnownKernel } from './address-space.ts';
import { physicalAt } from './address-space.ts';
import type { LedgerPast } from './ledger-past.ts';
import type { X86Cpu } from '../../../domain/values/x86-cpu.ts';

/** A process; its name where the guest tells. */
export interface NamedProcess {
  readonly pid: number;
  readonly command: string | null;
}

export interface PossibleWriters {
  /** Where the bytes lie for the hardware; null: nowhere. */
  readonly physical: bigint | null;
  /** Whose page it was; null: it cannot be told, for one of these reasons. */
  readonly owner: PageOwner | null;
  readonly reasons: readonly string[];
  /** By CPU; null: its registers were not recorded there, or do not tell. A pid of 0 idles. */
  readonly running: readonly (NamedProcess | null)[];
}

/** Who ran on CPUs, by what the kernel keeps of each of them. */
async function runningOn(
  kernel: KnownKernel,
  of: { readonly past: LedgerPast; readonly capture: number; readonly cpus: readonly X86Cpu[] },
): Promise<readonly (NamedProcess | null)[]> {
  const pages = await of.past.memoryAt(of.capture);
  const memory = await kernel.memoryIn(pages);
  if (memory === null) return of.cpus.map(() => null);
  const { symbols } = kernel.guest;
  const pidOffset = kernel.guest.layouts().tasks.pid;
  const tasks = await kernel.tasksIn(pages);
  const running: (NamedProcess | null)[] = [];
  for (const cpu of of.cpus) {
    const pid = await runningPid({ memory, symbols, pidOffset }, cpu);
    const task = tasks.find((each) => each.pid === pid);
    running.push(pid === null ? null : { pid, command: task?.command ?? null });
  }
  return running;
}

/** Who may have written bytes, as told at a capture. GUEST_INVALID. */
export async function possibleWriters(
  ledger: Ledger,
  of: {
    readonly past: LedgerPast;
    readonly kernel: KnownKernel | null;
    readonly capture: number;
    readonly address: bigint;
    readonly space: AddressSpace;
    /** Registers that the capture has. */
    readonly cpus: readonly X86Cpu[];
  },
): Promise<PossibleWriters> {
  const { past, kernel, capture, address, space, cpus } = of;
  const physical = await physicalAt(await past.memoryAt(capture), { space, kernel }, address);
  const gfn = physical === null ? null : past.gfnOf(Number(physical >> 12n), capture);
  const places = gfn === null ? [] : [{ vm: past.entry.vm, capture, gfn }];
  const { owners, reasons } = await ownersOfVersions(ledger, { places, kernel: null });
  return {
    physical,
    owner: owners[0] ?? null,
    reasons,
    running: kernel === null ? [] : await runningOn(kernel, { past, capture, cpus }),
  };
}
