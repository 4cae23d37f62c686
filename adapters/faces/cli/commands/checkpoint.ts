// `checkpoint`: names a point, which keeps it, or gives a name up.

import type { Command } from 'commander';
import { takeCheckpoint } from '../../../wiring/vm-life.ts';
import { dropCheckpoint } from '../../../wiring/forget.ts';
import { UsageError } from '../failure.ts';
import { withLedger } from '../session.ts';

export const declare = (command: Command): Command =>
  command
    .requiredOption('--vm <name>', 'the VM')
    .requiredOption('--name <name>', "the checkpoint's name")
    .option('--at <point>', 'the point (default: latest)')
    .option('--drop', 'give the name up: what only it kept is forgotten');

export async function run(command: Command): Promise<void> {
  const { at, drop } = command.opts<{ at?: string; drop?: boolean }>();
  if (drop !== true) return take(command, at ?? 'latest');
  if (at !== undefined) throw new UsageError('either --drop or --at was expected');
  return dropName(command);
}

const take = (command: Command, at: string): Promise<void> =>
  withLedger(command, 'write', async (ledger, output) => {
    const { vm, name } = command.opts<{ vm: string; name: string }>();
    const { capture } = ledger.resolve(ledger.vm(vm), at);
    await takeCheckpoint(ledger, { vm, name, capture });
    if (output.isJson) output.json({ vm, name, capture });
    else output.say(`${vm}@${capture} is checkpoint ${name}`);
  });

const dropName = (command: Command): Promise<void> =>
  withLedger(command, 'write', async (ledger, output) => {
    const { vm, name } = command.opts<{ vm: string; name: string }>();
    const { capture, isForgotten } = await dropCheckpoint(ledger, { vm, name });
    if (output.isJson) output.json({ vm, name, capture, dropped: true, forgotten: isForgotten });
    else
      output.say(
        `checkpoint ${name} of ${vm} dropped; capture ${capture} ${isForgotten ? 'is forgotten with it' : 'stays'}`,
      );
  });
