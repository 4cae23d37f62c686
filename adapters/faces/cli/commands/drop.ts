// `drop`: ends a VM wholly: retires it, and forgets all of its captures.

import type { Command } from 'commander';
import { dropVm } from '../../../wiring/forget.ts';
import { withLedger } from '../session.ts';

export const declare = (command: Command): Command =>
  command.requiredOption('--vm <name>', 'the VM');

export const run = (command: Command): Promise<void> =>
  withLedger(command, 'write', async (ledger, output) => {
    const { vm } = command.opts<{ vm: string }>();
    const captures = await dropVm(ledger, vm);
    output.summary('drop', { vm, captures: captures.length, retired: true });
    output.say(
      `${vm} is retired and its captures are forgotten (${captures.length}); \`pageledger compact\` gives their space back`,
    );
  });
