// `drop`: ends a VM wholly: retires it, and forgets all of its captures.

import type { Command } from 'commander';
import { dropVm } from '../../../wiring/forget/forget.ts';
import { withLedger } from '../session.ts';

export const declare = (command: Command): Command =>
  command.requiredOption('--vm <name>', 'the VM');

export const run = (command: Command): Promise<void> =>
  withLedger(command, 'write', async (ledger, output) => {
    const { vm } = command.opts<{ vm: string }>();
    const captures = await dropVm(ledger, vm);
    const entry = ledger.vm(vm);
    const leased = captures.filter((capture) => !entry.isForgotten(capture));
    const forgotten = captures.length - leased.length;
    output.summary('drop', { vm, captures: forgotten, leased: leased.length, retired: true });
    if (captures.length === 0)
      return output.say(`${vm} was retired, and its captures forgotten, before: nothing to do`);
    output.say(
      `${vm} is retired and its captures are forgotten (${forgotten}); \`pageledger compact\` gives their space back`,
    );
    if (leased.length > 0)
      output.say(
        `${leased.map((capture) => `${vm}@${capture}`).join(', ')} ${leased.length === 1 ? 'is' : 'are'} leased, and forgotten once nobody holds ${leased.length === 1 ? 'it' : 'them'}: \`pageledger leases\``,
      );
  });
