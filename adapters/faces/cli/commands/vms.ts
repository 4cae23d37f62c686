// `vms`: the VMs of the ledger.

import type { Command } from 'commander';
import { vmRow } from '../../rows/vm-rows.ts';
import { COST_COLUMNS, costsFor, declareCosts } from '../costs.ts';
import { declareExcerpt, excerptOf, excerptRows } from '../excerpt.ts';
import { field, inBytes, leftOut, numeric, type Column } from '../output.ts';
import { withLedger } from '../session.ts';

export const declare = (command: Command): Command => declareExcerpt(declareCosts(command));

const COLUMNS: readonly Column[] = [
  field('vm'),
  leftOut(4, field('group')),
  inBytes('bytes', 'memory'),
  numeric('captures'),
  leftOut(3, field('firstTime', 'first')),
  field('lastTime', 'last'),
  ...COST_COLUMNS,
  { title: '', cell: ({ retired }) => (retired === true ? 'retired' : '') },
];

export const run = (command: Command): Promise<void> =>
  withLedger(command, 'read catalogue', async (ledger, output) => {
    const costs = await costsFor(command, ledger);
    const rows = ledger.vms().map((entry) => vmRow(entry, costs));
    output.rows(excerptRows(rows, excerptOf(command, ledger), 'lastTime'), COLUMNS);
  });
