// `who`: which VMs and pages hold, or held, a content.

import type { Command } from 'commander';
import { momentOf } from '../../../wiring/moments.ts';
import { whoHolds } from '../../../wiring/pages.ts';
import { holderRow } from '../../rows/holder-rows.ts';
import { withLedger } from '../session.ts';
import { HOLDER_COLUMNS, holderTexts } from '../tables.ts';

export const declare = (command: Command): Command =>
  command
    .requiredOption('--identifier <hex>', "the content's identifier, or its first 8 digits or more")
    .option('--at <point>', 'who holds it at latest, pos:, time: or ago: (default: who ever did)');

export const run = (command: Command): Promise<void> =>
  withLedger(command, 'read', async (ledger, output) => {
    const options = command.opts<{ identifier: string; at?: string }>();
    const at = options.at === undefined ? null : momentOf(ledger, options.at);
    const { identifier, holders } = await whoHolds(ledger, { identifier: options.identifier, at });
    if (output.isJson) {
      for (const holder of holders) output.json(holderRow(holder, identifier));
      return;
    }
    output.print(identifier);
    if (holders.length === 0)
      output.print(at === null ? 'nobody ever held it' : 'nobody holds it at that moment');
    else output.rows(holders.map(holderTexts), HOLDER_COLUMNS);
  });
