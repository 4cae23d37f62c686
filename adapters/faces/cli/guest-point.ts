// What commands about a guest take alike: the VM, the point, and which kernel is meant.

import type { Command } from 'commander';
import type { GuestPoint } from '../../wiring/guest/guest.ts';
import type { KernelChoice } from '../../wiring/guest/stand-ins.ts';
import type { Ledger } from '../../wiring/ledger/ledger.ts';
import { positiveNumber } from './argument-values.ts';
import { UsageError } from './failure.ts';

/** Which kernel is meant, and files that stand in for what it hides; with what else, where not always. */
export function declareKernel(command: Command, goesWith?: string): Command {
  const when = goesWith === undefined ? '' : `with ${goesWith}: `;
  return command
    .option('--kernel <n>', `${when}which of several kernels in its memory`, positiveNumber)
    .option(
      '--kallsyms <file>',
      `${when}a copy of the guest's /proc/kallsyms, or its kernel's System.map`,
    )
    .option('--btf <file>', `${when}a copy of the guest's /sys/kernel/btf/vmlinux`)
    .option('--vmcoreinfo <file>', `${when}the text of the guest's VMCOREINFO`);
}

interface KernelOptions {
  readonly kernel?: number;
  readonly kallsyms?: string;
  readonly btf?: string;
  readonly vmcoreinfo?: string;
}

/** Which kernel is meant. */
export function kernelChoiceOf(command: Command): KernelChoice {
  const { kernel = null, ...files } = command.opts<KernelOptions>();
  const { kallsyms = null, btf = null, vmcoreinfo = null } = files;
  return { kernel, standIns: { kallsyms, btf, vmcoreinfo } };
}

/** The same, of a command that asks a guest only together with something else. */
export function kernelChoiceWith(
  command: Command,
  { isAsked, goesWith }: { readonly isAsked: boolean; readonly goesWith: string },
): KernelChoice {
  const { kernel, kallsyms, btf, vmcoreinfo } = command.opts<KernelOptions>();
  const said = Object.entries({ kernel, kallsyms, btf, vmcoreinfo }).find(
    ([, value]) => value !== undefined,
  );
  if (!isAsked && said !== undefined)
    throw new UsageError(`--${said[0]} goes with ${goesWith}, and that was not asked for`);
  return kernelChoiceOf(command);
}

export const declareGuestPoint = (command: Command): Command =>
  declareKernel(
    command.requiredOption('--vm <name>', 'the VM').option('--at <point>', 'the point', 'latest'),
  );

/** The point that such a command is about. */
export function guestPointOf(command: Command, ledger: Ledger): GuestPoint {
  const { vm, at } = command.opts<{ readonly vm: string; readonly at: string }>();
  const entry = ledger.vm(vm);
  return { entry, row: ledger.resolve(entry, at), ...kernelChoiceOf(command) };
}
