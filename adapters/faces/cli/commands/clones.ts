// `clones`: the guests that were started from points and run, and those that are parked. Those that have died on this host are ended.

import type { Command } from 'commander';
import { clonesOf } from '../../../wiring/clones/clones.ts';
import { parkedClonesOf } from '../../../wiring/clones/parking.ts';
import { cloneRow, parkedRow } from '../../rows/running-clone-rows.ts';
import { endedLeases } from '../ended-leases.ts';
import { field, numeric, type Column } from '../output.ts';
import { withLedger } from '../session.ts';

export const declare = (command: Command): Command =>
  command.option('--vm <name>', 'those of one master');

const COLUMNS: readonly Column[] = [
  field('id'),
  field('vm'),
  numeric('capture'),
  field('kind'),
  field('host'),
  numeric('process'),
  field('since'),
  numeric('privatePages', 'private pages'),
  numeric('serverPages', 'fetched'),
  numeric('droppedPages', 'dropped'),
  numeric('refetchedPages', 'again'),
  field('as', 'parked as'),
  field('qmp'),
];

export const run = (command: Command): Promise<void> =>
  withLedger(command, 'use', async (ledger, output) => {
    const { vm } = command.opts<{ vm?: string }>();
    const entries = vm === undefined ? ledger.vms() : [ledger.vm(vm)];
    await endedLeases(command, ledger);
    const rows = [
      ...clonesOf(ledger, entries).map(cloneRow),
      ...parkedClonesOf(ledger, entries).map(parkedRow),
    ];
    output.rows(rows, COLUMNS);
  });
