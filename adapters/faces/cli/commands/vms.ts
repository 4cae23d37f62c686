// `vms`: the VMs of the ledger.

import type { Command } from 'commander';
import { vmRow } from '../../rows/vm-rows.ts';
import { bytesText, field, numeric, type Column } from '../output.ts';
import { withLedger } from '../session.ts';

export const declare = (command: Command): Command => command;

const COLUMNS: readonly Column[] = [
  field('vm'),
  field('group'),
  {
    title: 'memory',
    align: 'right',
    cell: ({ bytes }) => (typeof bytes === 'number' ? bytesText(bytes) : '-'),
  },
  numeric('captures'),
  field('firstTime', 'first'),
  field('lastTime', 'last'),
  { title: '', cell: ({ retired }) => (retired === true ? 'retired' : '') },
];

export const run = (command: Command): Promise<void> =>
  withLedger(command, 'read', async (ledger, output) => {
    output.rows(ledger.vms().map(vmRow), COLUMNS);
    return Promise.resolve();
  });
