// What is held by processes that died on this host, ended by whoever lists who holds what.

import type { Command } from 'commander';
import { endDeadLeases } from '../../wiring/points/leases.ts';
import type { Ledger } from '../../wiring/ledger/ledger.ts';
import { isLedgerError } from '../../../domain/values/ledger-error.ts';
import { tell, warn } from './session.ts';

/** Ends what can be ended, and says so: who may not write here is told of it all the same. */
export async function endedLeases(command: Command, ledger: Ledger): Promise<void> {
  try {
    for (const { lease, vm, capture, holder } of await endDeadLeases(ledger))
      tell(command, `lease ${lease} of ${vm}@${capture} has ended: process ${holder.process} died`);
  } catch (thrown) {
    if (!isLedgerError(thrown)) throw thrown;
    warn(command, `leases of processes that have died are still there: ${thrown.message}`);
  }
}
