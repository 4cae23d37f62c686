// `host list`: the hosts of the workgroup, what they are and what they said that they hold.

import type { Command } from 'commander';
import { hostsOf } from '../../../wiring/hosts/hosts.ts';
import { hostRow } from '../../rows/host-rows.ts';
import { field, inBytes, numeric, type Column } from '../output.ts';
import { withLedger } from '../session.ts';

export const declare = (command: Command): Command => command;

const COLUMNS: readonly Column[] = [
  field('host'),
  field('address'),
  numeric('cores'),
  inBytes('memoryBytes', 'memory'),
  field('cpu'),
  field('qemu'),
  numeric('regions'),
  numeric('pages'),
  field('advertised'),
];

export const run = (command: Command): Promise<void> =>
  withLedger(command, 'read catalogue', (ledger, output) => {
    output.rows(hostsOf(ledger).map(hostRow), COLUMNS);
    return Promise.resolve();
  });
