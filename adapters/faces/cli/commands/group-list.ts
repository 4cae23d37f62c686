// `group list`: the sharing groups, and whether this host has their keys.

import type { Command } from 'commander';
import { listGroups } from '../../../wiring/ledger/groups.ts';
import { field, numeric } from '../output.ts';
import { withLedger } from '../session.ts';

export const declare = (command: Command): Command => command;

export const run = (command: Command): Promise<void> =>
  withLedger(command, 'read', async (ledger, output) => {
    const rows = await listGroups(ledger);
    output.rows(
      rows.map((row) => ({ ...row })),
      [field('group'), field('key'), numeric('vms')],
    );
  });
