// `dap`: a debugger over the history of VMs for editors, by the Debug Adapter Protocol.

import type { Command } from 'commander';
import { DebuggedVm } from '../../../wiring/time-travel/debugged-vm.ts';
import { serveDap } from '../../dap/connection.ts';
import { UsageError } from '../failure.ts';
import { withLedger } from '../session.ts';

export const goesOnUnread = true;

export const declare = (command: Command): Command =>
  command.option('--stdio', 'speak on standard input and output, as editors start it');

export async function run(command: Command): Promise<void> {
  const { stdio = false } = command.opts<{ readonly stdio?: boolean }>();
  if (!stdio) throw new UsageError('--stdio was expected: editors start `pageledger dap --stdio`');
  await withLedger(command, 'use', async (ledger) => {
    const write = (bytes: Buffer): void => void process.stdout.write(bytes);
    const refused = await serveDap({ chunks: process.stdin, write }, async (vm, at) => {
      const entry = ledger.vm(vm);
      return DebuggedVm.open(ledger, { entry, row: ledger.resolve(entry, at), kernel: null });
    });
    process.stdin.destroy();
    if (refused !== null)
      throw new UsageError(`what the editor sent is not the Debug Adapter Protocol: ${refused}`);
  });
}
