// `forget`: gives old points up.

import type { Command } from 'commander';
import { forgetPoints } from '../../../wiring/compact.ts';
import { withLedger } from '../session.ts';

const pointsText = (count: number): string => (count === 1 ? '1 capture' : `${count} captures`);

export const declare = (command: Command): Command =>
  command
    .requiredOption('--vm <name>', 'the VM')
    .requiredOption('--before <point>', 'the first point that is kept');

export const run = (command: Command): Promise<void> =>
  withLedger(command, 'write', async (ledger, output) => {
    const { vm, before } = command.opts<{ vm: string; before: string }>();
    const { captures, firstKept } = await forgetPoints(ledger, { vm, before });
    output.summary('forget', { vm, captures: captures.length, forgotten: captures, firstKept });
    output.say(
      `${pointsText(captures.length)} of ${vm} forgotten (${captures.map((capture) => `@${capture}`).join(', ')}); \`pageledger compact\` gives their space back`,
    );
  });
