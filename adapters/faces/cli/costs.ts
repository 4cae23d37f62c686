// What captures and VMs cost, as `captures` and `vms` show it.

import type { Command } from 'commander';
import { ledgerCosts, type LedgerCosts } from '../../wiring/questions/costs.ts';
import type { Ledger } from '../../wiring/ledger/ledger.ts';
import { inBytes, leftOut, type Column } from './output.ts';
import { tell } from './session.ts';

export const declareCosts = (command: Command): Command =>
  command.option('--cost', 'work out who needs what, however large the ledger is');

/** What was written for it, what only it needs, and its part of what others need too. */
export const COST_COLUMNS: readonly Column[] = [
  inBytes('addedBytes', 'added'),
  leftOut(2, inBytes('ownBytes', 'own')),
  leftOut(5, inBytes('sharedBytes', 'share')),
];

/** The costs of a ledger; of a large one what is quick to tell, unless all is asked for. */
export async function costsFor(command: Command, ledger: Ledger): Promise<LedgerCosts> {
  const { cost: isAsked = false } = command.opts<{ cost?: boolean }>();
  const costs = await ledgerCosts(ledger, { isAsked });
  if (costs.isLeftOut && process.stderr.isTTY)
    tell(command, 'what captures need alone is left out, as there are many: --cost works it out');
  return costs;
}
