// `checkpoints`: the named points of a VM, or of all.

import type { Command } from 'commander';
import { checkpointRow } from '../../rows/capture-rows.ts';
import { declareExcerpt, excerptByTime, excerptOf } from '../excerpt.ts';
import { field, leftOut, mayBeCut, numeric, type Column } from '../output.ts';
import { withLedger } from '../session.ts';

export const declare = (command: Command): Command =>
  declareExcerpt(command.option('--vm <name>', 'of one VM'));

const COLUMNS: readonly Column[] = [
  mayBeCut(field('vm')),
  field('name'),
  numeric('capture'),
  field('capturedAt', 'captured'),
  leftOut(2, numeric('position')),
  leftOut(1, field('time', 'named')),
];

export const run = (command: Command): Promise<void> =>
  withLedger(command, 'read catalogue', async (ledger, output) => {
    const { vm } = command.opts<{ vm?: string }>();
    const entries = vm === undefined ? ledger.vms() : [ledger.vm(vm)];
    const all = entries.flatMap((entry) =>
      entry.checkpoints.map((checkpoint) => ({ entry, checkpoint })),
    );
    const named = excerptByTime(
      all,
      excerptOf(command, ledger),
      ({ checkpoint: { timeMs } }) => timeMs,
    );
    const rows = named.map(({ entry, checkpoint }) => checkpointRow(entry, checkpoint));
    const hasNote = rows.some(({ note }) => note !== null);
    output.rows(rows, hasNote ? [...COLUMNS, mayBeCut(field('note'))] : COLUMNS);
    return Promise.resolve();
  });
