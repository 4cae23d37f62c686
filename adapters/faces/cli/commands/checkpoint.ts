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
    .option('--note <text>', 'what to say of it, up to 1 KiB')
    .option('--drop', 'give the name up: what only it kept is forgotten');

export async function run(command: Command): Promise<void> {
  const { at, drop, note } = command.opts<{ at?: string; drop?: boolean; note?: string }>();
  if (drop !== true) return take(command, at ?? 'latest');
  if (at !== undefined || note !== undefined)
    throw new UsageError('--drop was expected alone, without --at and --note');
  return dropName(command);
}

const take = (command: Command, at: string): Promise<void> =>
  withLedger(command, 'write', async (ledger, output) => {
    const { vm, name, note } = command.opts<{ vm: string; name: string; note?: string }>();
    const { capture } = ledger.resolve(ledger.vm(vm), at);
    await takeCheckpoint(ledger, { vm, name, capture, ...(note === undefined ? {} : { note }) });
    if (output.isJson) output.json({ vm, name, capture, note: note ?? null });
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
