// What commands about a guest take alike: the VM, the point, and which kernel is meant.

import type { Command } from 'commander';
import type { GuestPoint } from '../../wiring/guest/guest.ts';
import type { Ledger } from '../../wiring/ledger/ledger.ts';
import { positiveNumber } from './argument-values.ts';

export const declareGuestPoint = (command: Command): Command =>
  command
    .requiredOption('--vm <name>', 'the VM')
    .option('--at <point>', 'the point', 'latest')
    .option('--kernel <n>', 'which of several kernels in its memory', positiveNumber)
    .option('--kallsyms <file>', "a copy of the guest's /proc/kallsyms, or its kernel's System.map")
    .option('--btf <file>', "a copy of the guest's /sys/kernel/btf/vmlinux")
    .option('--vmcoreinfo <file>', "the text of the guest's VMCOREINFO");

interface Options {
  readonly vm: string;
  readonly at: string;
  readonly kernel?: number;
  readonly kallsyms?: string;
  readonly btf?: string;
  readonly vmcoreinfo?: string;
}

/** The point that such a command is about. */
export function guestPointOf(command: Command, ledger: Ledger): GuestPoint {
  const { vm, at, kernel, ...files } = command.opts<Options>();
  const entry = ledger.vm(vm);
  const { kallsyms = null, btf = null, vmcoreinfo = null } = files;
  return {
    entry,
    row: ledger.resolve(entry, at),
    kernel: kernel ?? null,
    standIns: { kallsyms, btf, vmcoreinfo },
  };
}
