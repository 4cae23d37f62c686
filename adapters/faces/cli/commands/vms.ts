// `vms`: the VMs of the ledger.

import type { Command } from 'commander';
import { vmRow } from '../../rows/vm-rows.ts';
import { COST_COLUMNS, costsFor, declareCosts } from '../costs.ts';
import { declareExcerpt, excerptByTime, excerptOf } from '../excerpt.ts';
import { field, inBytes, leftOut, mayBeCut, numeric, type Column } from '../output.ts';
import { withLedger } from '../session.ts';

export const declare = (command: Command): Command => declareExcerpt(declareCosts(command));

const COLUMNS: readonly Column[] = [
  mayBeCut(field('vm')),
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
    const excerpt = excerptOf(command, ledger);
    const entries = excerptByTime(
      ledger.vms(),
      excerpt,
      ({ rows: { last } }) => last?.timeMs ?? null,
    );
    output.rows(
      entries.map((entry) => vmRow(entry, costs)),
      COLUMNS,
    );
  });
