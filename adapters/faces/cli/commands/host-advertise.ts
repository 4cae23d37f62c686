// `host advertise`: says in the log what this host holds, for others to move guests here.

import type { Command } from 'commander';
import {
  advertise,
  advertisementOf,
  DEFAULT_RULE,
  pointsHeld,
} from '../../../wiring/hosts/contents.ts';
import { thisHostName } from '../../../wiring/hosts/hosts.ts';
import { collected, positiveNumber } from '../argument-values.ts';
import { withLedger } from '../session.ts';

interface AdvertiseOptions {
  readonly host?: string;
  readonly vm?: readonly string[];
  readonly leastPages: number;
}

export const declare = (command: Command): Command =>
  command
    .option('--host <name>', 'the host (default: this one)')
    .option('--vm <name>', 'a VM whose newest capture it has at hand (default: all)', collected)
    .option('--least-pages <n>', 'leave shorter regions out', positiveNumber, 1);

export const run = (command: Command): Promise<void> =>
  withLedger(command, 'write', async (ledger, output) => {
    const { host = thisHostName(), vm, leastPages } = command.opts<AdvertiseOptions>();
    const points = pointsHeld(vm === undefined ? ledger.vms() : vm.map((name) => ledger.vm(name)));
    const told = await advertisementOf(ledger, points, { ...DEFAULT_RULE, leastPages });
    const isNew = await advertise(ledger, host, told);
    const { count: regions } = told.regions;
    const { leftOut } = told;
    output.say(
      isNew
        ? `host ${host} holds ${regions} regions of ${points.length} points${leftOut === 0 ? '' : `; ${leftOut} shorter ones are left out`}`
        : `host ${host} said so before: nothing to do`,
    );
    output.summary('host advertise', {
      host,
      points: points.length,
      regions,
      leftOut,
      told: isNew,
    });
  });
