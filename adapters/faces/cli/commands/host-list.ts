// `host list`: the hosts of the workgroup, what they are and what they said that they hold.

import type { Command } from 'commander';
import { hostsOf } from '../../../wiring/hosts/hosts.ts';
import { hostRow } from '../../rows/host-rows.ts';
import { field, inBytes, leftOut, mayBeCut, numeric, type Column } from '../output.ts';
import { withLedger } from '../session.ts';

export const declare = (command: Command): Command => command;

const COLUMNS: readonly Column[] = [
  mayBeCut(field('host')),
  leftOut(2, mayBeCut(field('address'))),
  leftOut(1, numeric('cores')),
  inBytes('memoryBytes', 'memory'),
  leftOut(4, field('cpu')),
  leftOut(3, field('qemu')),
  numeric('regions'),
  numeric('pages'),
  field('advertised'),
];

export const run = (command: Command): Promise<void> =>
  withLedger(command, 'read catalogue', (ledger, output) => {
    output.rows(hostsOf(ledger).map(hostRow), COLUMNS);
    return Promise.resolve();
  });
