// What commands about a guest take alike: the VM, the point, and which kernel is meant.

import type { Command } from 'commander';
import type { GuestPoint } from '../../wiring/guest.ts';
import type { Ledger } from '../../wiring/ledger.ts';
import { positiveNumber } from './argument-values.ts';

export const declareGuestPoint = (command: Command): Command =>
  command
    .requiredOption('--vm <name>', 'the VM')
    .option('--at <point>', 'the point', 'latest')
    .option('--kernel <n>', 'which of several kernels in its memory', positiveNumber);

/** The point that such a command is about. */
export function guestPointOf(command: Command, ledger: Ledger): GuestPoint {
  const { vm, at, kernel } = command.opts<{ vm: string; at: string; kernel?: number }>();
  const entry = ledger.vm(vm);
  return { entry, row: ledger.resolve(entry, at), kernel: kernel ?? null };
}
