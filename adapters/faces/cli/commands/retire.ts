// `retire`: ends a VM's life; its history stays.

import type { Command } from 'commander';
import { retireVm } from '../../../wiring/points/vm-life.ts';
import { withLedger } from '../session.ts';

export const declare = (command: Command): Command =>
  command.requiredOption('--vm <name>', 'the VM');

export const run = (command: Command): Promise<void> =>
  withLedger(command, 'write', async (ledger, output) => {
    const { vm } = command.opts<{ vm: string }>();
    const wasRetired = ledger.vm(vm).retired !== null;
    if (!wasRetired) await retireVm(ledger, vm);
    const captures = ledger.vm(vm).captures.length;
    output.summary('retire', { vm, retired: true, captures });
    const stay = captures === 1 ? '1 capture stays' : `${captures} captures stay`;
    output.say(
      wasRetired
        ? `${vm} was retired before: nothing to do; its ${stay}`
        : `${vm} is retired; its ${stay}`,
    );
  });
