// `host leave`: a host goes out of the workgroup.

import type { Command } from 'commander';
import { leaveHost, thisHostName } from '../../../wiring/hosts/hosts.ts';
import { withLedger } from '../session.ts';

export const declare = (command: Command): Command =>
  command.option('--host <name>', 'the host (default: this one)');

export const run = (command: Command): Promise<void> =>
  withLedger(command, 'write', async (ledger, output) => {
    const { host = thisHostName() } = command.opts<{ host?: string }>();
    await leaveHost(ledger, host);
    output.say(`host ${host} left the workgroup: nothing is moved to it`);
    output.summary('host leave', { host });
  });
