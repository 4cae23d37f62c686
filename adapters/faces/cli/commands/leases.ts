// `leases`: who holds points. What is held by processes that died on this host is ended.

import type { Command } from 'commander';
import { leasesOf } from '../../../wiring/points/leases.ts';
import { leaseRow } from '../../rows/lease-rows.ts';
import { endedLeases } from '../ended-leases.ts';
import { declareExcerpt, excerptByTime, excerptOf } from '../excerpt.ts';
import { field, leftOut, mayBeCut, numeric, type Column } from '../output.ts';
import { withLedger } from '../session.ts';

export const declare = (command: Command): Command =>
  declareExcerpt(command.option('--vm <name>', 'of one VM'));

const COLUMNS: readonly Column[] = [
  field('id'),
  mayBeCut(field('vm')),
  numeric('capture'),
  field('kind'),
  leftOut(1, field('host')),
  leftOut(3, numeric('process')),
  leftOut(2, field('user')),
  field('since'),
  leftOut(4, field('holder')),
];

export const run = (command: Command): Promise<void> =>
  withLedger(command, 'use', async (ledger, output) => {
    const { vm } = command.opts<{ vm?: string }>();
    const entries = vm === undefined ? ledger.vms() : [ledger.vm(vm)];
    await endedLeases(command, ledger);
    const excerpt = excerptOf(command, ledger);
    const held = excerptByTime(leasesOf(entries), excerpt, ({ timeMs }) => timeMs);
    output.rows(held.map(leaseRow), COLUMNS);
  });
