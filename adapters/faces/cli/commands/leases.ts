// `leases`: who holds points. What is held by processes that died on this host is ended.

import type { Command } from 'commander';
import { endDeadLeases, leasesOf, type Lease } from '../../../wiring/leases.ts';
import type { Ledger } from '../../../wiring/ledger.ts';
import { isLedgerError } from '../../../../domain/values/ledger-error.ts';
import { leaseRow } from '../../rows/lease-rows.ts';
import { field, numeric, type Column } from '../output.ts';
import { tell, warn, withLedger } from '../session.ts';

export const declare = (command: Command): Command => command.option('--vm <name>', 'of one VM');

const COLUMNS: readonly Column[] = [
  field('id'),
  field('vm'),
  numeric('capture'),
  field('kind'),
  field('host'),
  numeric('process'),
  field('user'),
  field('since'),
  field('holder'),
];

/** Ends what can be ended: who may not write here is told of it all the same. */
async function tidy(command: Command, ledger: Ledger): Promise<readonly Lease[]> {
  try {
    return await endDeadLeases(ledger);
  } catch (thrown) {
    if (!isLedgerError(thrown)) throw thrown;
    warn(command, `leases of processes that have died are still there: ${thrown.message}`);
    return [];
  }
}

export const run = (command: Command): Promise<void> =>
  withLedger(command, 'use', async (ledger, output) => {
    const { vm } = command.opts<{ vm?: string }>();
    const entries = vm === undefined ? ledger.vms() : [ledger.vm(vm)];
    for (const { lease, vm: of, capture, holder } of await tidy(command, ledger))
      tell(command, `lease ${lease} of ${of}@${capture} has ended: process ${holder.process} died`);
    output.rows(leasesOf(entries).map(leaseRow), COLUMNS);
  });
