// `checkpoint` and `retire`.

import type { Command } from 'commander';
import { retireVm, takeCheckpoint } from '../../wiring/audit.ts';
import { UsageError } from './failure.ts';
import { withLedger } from './session.ts';

export async function checkpoint(command: Command): Promise<void> {
  const { at, drop } = command.opts<{ at?: string; drop?: boolean }>();
  if (drop !== true) return take(command, at ?? 'latest');
  if (at !== undefined) throw new UsageError('either --drop or --at was expected');
  return (await import('./forget.ts')).drop(command);
}

const take = (command: Command, at: string): Promise<void> =>
  withLedger(command, 'write', async (ledger, output) => {
    const { vm, name } = command.opts<{ vm: string; name: string }>();
    const { capture } = ledger.resolve(ledger.vm(vm), at);
    await takeCheckpoint(ledger, { vm, name, capture });
    if (output.isJson) output.json({ vm, name, capture });
    else output.say(`${vm}@${capture} is checkpoint ${name}`);
  });

export const retire = (command: Command): Promise<void> =>
  withLedger(command, 'write', async (ledger, output) => {
    const { vm } = command.opts<{ vm: string }>();
    await retireVm(ledger, vm);
    if (output.isJson) output.json({ vm, retired: true });
    else output.say(`${vm} is retired; its ${ledger.vm(vm).captures.length} captures stay`);
  });
