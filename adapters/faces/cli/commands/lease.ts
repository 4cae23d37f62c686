// `lease --end`: ends a lease whose holder is gone and cannot say so himself.

import type { Command } from 'commander';
import { endLease } from '../../../wiring/points/leases.ts';
import { leaseRow } from '../../rows/lease-rows.ts';
import { warn, withLedger } from '../session.ts';

export const declare = (command: Command): Command =>
  command.requiredOption('--end <id>', 'the lease to end, as `leases` shows it');

export const run = (command: Command): Promise<void> =>
  withLedger(command, 'write', async (ledger, output) => {
    const { end: id } = command.opts<{ end: string }>();
    const lease = await endLease(ledger, id);
    const { vm, capture, holder, fate } = lease;
    if (fate === 'alive')
      warn(command, `process ${holder.process} goes on: what it reads may be taken from under it`);
    output.summary('lease', { ...leaseRow(lease), ended: true });
    output.say(`lease ${id} of ${vm}@${capture} has ended`);
  });
