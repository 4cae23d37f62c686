// `group export`: a group's key, for another host.

import type { Command } from 'commander';
import { exportGroup, exportGroupToFile } from '../../../wiring/ledger/groups.ts';
import { withLedger } from '../session.ts';

export const declare = (command: Command): Command =>
  command
    .requiredOption('--group <group>', 'the group')
    .requiredOption('--to <file>', 'a new file; - is standard output');

export const run = (command: Command): Promise<void> =>
  withLedger(command, 'read', async (ledger, output) => {
    const { group, to } = command.opts<{ group: string; to: string }>();
    if (to === '-') {
      process.stdout.write(await exportGroup(ledger, group));
      return;
    }
    await exportGroupToFile(ledger, { group, path: to });
    output.summary('group export', { group, to });
    output.say(
      `the key of group ${group} is in ${to}: whoever has it can tell which pages are equal`,
    );
  });
