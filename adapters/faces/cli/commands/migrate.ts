// `migrate --plan`: the hosts that a VM's guest could go to, ranked by what they have of its memory.

import { Option, type Command } from 'commander';
import { RANKED_BY, type RankedBy } from '../../../../domain/placement.ts';
import { thisHostName } from '../../../wiring/hosts/hosts.ts';
import { placeGuest } from '../../../wiring/hosts/placement.ts';
import { placementRows } from '../../rows/placement-rows.ts';
import { UsageError } from '../failure.ts';
import { field, inBytes, numeric, type Column } from '../output.ts';
import { withLedger } from '../session.ts';

interface MigrateOptions {
  readonly vm: string;
  readonly at: string;
  readonly plan?: boolean;
  readonly by: RankedBy;
  readonly from?: string;
}

export const declare = (command: Command): Command =>
  command
    .requiredOption('--vm <name>', 'the VM')
    .option('--at <point>', 'the point', 'latest')
    .option('--plan', 'show how the hosts are ranked, and move nothing')
    .addOption(
      new Option('--by <what>', 'what is in common is counted in')
        .choices(RANKED_BY)
        .default('pages'),
    )
    .option('--from <host>', 'the host that the guest is on (default: this one)');

const isTrue = (name: string): Column => ({
  title: name,
  cell: (row) => (row[name] === true ? 'yes' : '-'),
});
const COLUMNS: readonly Column[] = [
  field('host'),
  isTrue('eligible'),
  numeric('regions'),
  numeric('pages'),
  numeric('used'),
  inBytes('moveBytes', 'to move'),
  numeric('distance'),
  isTrue('chosen'),
];

export const run = (command: Command): Promise<void> =>
  withLedger(command, 'write', async (ledger, output) => {
    const { vm, at, plan, by, from = thisHostName() } = command.opts<MigrateOptions>();
    if (plan !== true) throw new UsageError('--plan was expected: guests are not moved yet');
    const entry = ledger.vm(vm);
    const placement = await placeGuest(
      ledger,
      { entry, row: ledger.resolve(entry, at) },
      { by, from },
    );
    output.rows(placementRows(placement), COLUMNS);
  });
