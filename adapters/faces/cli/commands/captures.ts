// `captures`: a VM's captures, oldest first.

import type { Command } from 'commander';
import { damagedCaptures } from '../../../../projections/questions/affected-points.ts';
import { captureRows } from '../../rows/capture-rows.ts';
import type { Column } from '../output.ts';
import { warn, withLedger } from '../session.ts';
import { CAPTURE_COLUMNS } from '../tables.ts';

export const declare = (command: Command): Command =>
  command.requiredOption('--vm <name>', 'the VM');

/** Only where there is one to tell of. */
const STATE: Column = {
  title: '',
  cell: ({ forgotten, damaged }) =>
    forgotten === true ? 'forgotten' : damaged === true ? 'damaged' : '',
};

export const run = (command: Command): Promise<void> =>
  withLedger(command, 'read', async (ledger, output) => {
    const entry = ledger.vm(command.opts<{ vm: string }>().vm);
    const rows = captureRows(entry, (await damagedCaptures(ledger)).get(entry.vm));
    const hasState = rows.some(({ forgotten, damaged }) => forgotten === true || damaged === true);
    output.rows(rows, hasState ? [...CAPTURE_COLUMNS, STATE] : CAPTURE_COLUMNS);
    if (entry.lostTail !== null)
      warn(
        command,
        `the history of VM ${entry.vm} is damaged after its last capture here: ${entry.lostTail}`,
      );
  });
