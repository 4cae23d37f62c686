// `captures`: a VM's captures, oldest first.

import type { Command } from 'commander';
import { damagedCaptures } from '../../../../projections/questions/affected-points.ts';
import { captureRows } from '../../rows/capture-rows.ts';
import type { AttachmentEntry } from '../../../../domain/values/attachment.ts';
import type { Row } from '../../rows/row.ts';
import { COST_COLUMNS, costsFor, declareCosts } from '../costs.ts';
import { declareExcerpt, excerptOf, excerptRows } from '../excerpt.ts';
import { field, mayBeCut, numeric, type Column } from '../output.ts';
import { warn, withLedger } from '../session.ts';
import { CAPTURE_COLUMNS } from '../tables.ts';

export const declare = (command: Command): Command =>
  declareCosts(declareExcerpt(command.requiredOption('--vm <name>', 'the VM')));

/** Only where there is one to tell of. */
const STATE: Column = {
  title: '',
  cell: ({ forgotten, damaged }) =>
    forgotten === true ? 'forgotten' : damaged === true ? 'damaged' : '',
};

/** Pages of which a capture's source did not tell what they held. */
const UNKNOWN_PAGES = numeric('unknown');

/** Names of what is kept beside a capture, and its note. */
const BESIDE: Column = {
  title: 'beside',
  cell: ({ attachments }) =>
    Array.isArray(attachments) && attachments.length > 0
      ? attachments.map((entry: AttachmentEntry) => entry.name).join(' ')
      : '-',
};

/** The columns of these rows: some only where there is something to tell of. */
function columnsOf(rows: readonly Row[]): readonly Column[] {
  const has = (holds: (row: Row) => boolean, column: Column): readonly Column[] =>
    rows.some(holds) ? [column] : [];
  return [
    ...CAPTURE_COLUMNS,
    ...COST_COLUMNS,
    ...has(({ unknown }) => unknown !== 0, UNKNOWN_PAGES),
    ...has(({ attachments }) => Array.isArray(attachments) && attachments.length > 0, BESIDE),
    ...has(({ note }) => note !== null, mayBeCut(field('note'))),
    ...has(({ forgotten, damaged }) => forgotten === true || damaged === true, STATE),
  ];
}

export const run = (command: Command): Promise<void> =>
  withLedger(command, 'read catalogue', async (ledger, output) => {
    const { vm } = command.opts<{ vm: string }>();
    const asked = excerptOf(command, ledger);
    const entry = ledger.vm(vm);
    const damaged = (await damagedCaptures(ledger)).get(vm);
    const last = asked.sinceMs === null && asked.last !== null ? { last: asked.last } : {};
    const costs = await costsFor(command, ledger);
    const rows = excerptRows(captureRows(entry, { damaged, costs, ...last }), asked);
    output.rows(rows, columnsOf(rows));
    if (entry.lostTail !== null)
      warn(
        command,
        `the history of VM ${entry.vm} is damaged after its last capture here: ${entry.lostTail}`,
      );
  });
