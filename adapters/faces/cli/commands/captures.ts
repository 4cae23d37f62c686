// `captures`: a VM's captures, oldest first.

import type { Command } from 'commander';
import { captureRows } from '../../rows/capture-rows.ts';
import type { Column } from '../output.ts';
import { warn, withLedger } from '../session.ts';
import { CAPTURE_COLUMNS } from '../tables.ts';

export const declare = (command: Command): Command =>
  command.requiredOption('--vm <name>', 'the VM');

/** Only where there is one to tell of. */
const FORGOTTEN: Column = {
  title: '',
  cell: ({ forgotten }) => (forgotten === true ? 'forgotten' : ''),
};

export const run = (command: Command): Promise<void> =>
  withLedger(command, 'read', async (ledger, output) => {
    const entry = ledger.vm(command.opts<{ vm: string }>().vm);
    const rows = captureRows(entry);
    const hasForgotten = rows.some(({ forgotten }) => forgotten === true);
    output.rows(rows, hasForgotten ? [...CAPTURE_COLUMNS, FORGOTTEN] : CAPTURE_COLUMNS);
    if (entry.lostTail !== null)
      warn(
        command,
        `the history of VM ${entry.vm} is damaged after its last capture here: ${entry.lostTail}`,
      );
    return Promise.resolve();
  });
