// `who`: which VMs and pages hold, or held, a content, and who owned these.

import type { Command } from 'commander';
import { momentOf } from '../../../wiring/questions/moments.ts';
import { whoHolds } from '../../../wiring/questions/pages.ts';
import { ownerCells } from '../../rows/guest-rows.ts';
import { holderRow } from '../../rows/holder-rows.ts';
import type { Row } from '../../rows/row.ts';
import { positiveNumber } from '../argument-values.ts';
import { OWNER_COLUMNS, ownersTold } from '../owner-columns.ts';
import { withLedger } from '../session.ts';
import { HOLDER_COLUMNS, holderTexts } from '../tables.ts';

export const declare = (command: Command): Command =>
  command
    .requiredOption('--identifier <hex>', "the content's identifier, or its first 8 digits or more")
    .option('--at <point>', 'who holds it at latest, pos:, time: or ago: (default: who ever did)')
    .option('--owners', 'who owned each page in a Linux guest when it began to hold it')
    .option('--kernel <n>', 'with --owners: which of several kernels', positiveNumber);

interface WhoOptions {
  readonly identifier: string;
  readonly at?: string;
  readonly owners?: boolean;
  readonly kernel?: number;
}

export const run = (command: Command): Promise<void> =>
  withLedger(command, 'read', async (ledger, output) => {
    const options = command.opts<WhoOptions>();
    const at = options.at === undefined ? null : momentOf(ledger, options.at);
    const { identifier, holders } = await whoHolds(ledger, { identifier: options.identifier, at });
    const owners =
      options.owners === true
        ? await ownersTold(command, ledger, {
            places: holders.map(({ vm, gfn, from }) => ({ vm, gfn, capture: from })),
            kernel: options.kernel ?? null,
          })
        : null;
    const cells = (i: number): Row => (owners === null ? {} : ownerCells(owners[i]!));
    if (output.isJson) {
      for (const [i, holder] of holders.entries())
        output.json({ ...holderRow(holder, identifier), ...cells(i) });
      return;
    }
    output.print(identifier);
    if (holders.length === 0)
      output.print(at === null ? 'nobody ever held it' : 'nobody holds it at that moment');
    else
      output.rows(
        holders.map((holder, i) => ({ ...holderTexts(holder), ...cells(i) })),
        [...HOLDER_COLUMNS, ...(owners === null ? [] : OWNER_COLUMNS)],
      );
  });
