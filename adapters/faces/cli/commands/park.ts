// `park`: records a clone for good, and ends its process; `wake` starts it again.

import type { Command } from 'commander';
import { cloneNamed, parkClone, parkedAs } from '../../../wiring/clones/parking.ts';
import { unlessInterrupted } from '../interruption.ts';
import { warn, withLedger } from '../session.ts';

export const declare = (command: Command): Command =>
  command
    .argument('<id>', 'the clone, as `clones` shows it')
    .option(
      '--vm <name>',
      'the VM that it is recorded as (default: made of its master and its id)',
    );

export const run = (command: Command): Promise<void> =>
  withLedger(command, 'write', async (ledger, output) => {
    const [id = ''] = command.args;
    const clone = cloneNamed(ledger, id);
    const { vm = parkedAs(clone) } = command.opts<{ vm?: string }>();
    const onWarning = (sentence: string): void => warn(command, sentence);
    const told = `clone ${id} is not parked and runs on, and what was recorded of it is deleted`;
    await unlessInterrupted(told, async (signal) => {
      const parked = await parkClone(ledger, clone, { as: vm, onWarning, signal });
      const { as, row, privatePages } = parked;
      const { capture, stored, written } = row;
      output.summary('park', { id, vm: as, capture, privatePages, stored, written });
      output.say(
        `clone ${id} is parked as ${as}@${capture}; \`pageledger wake ${id} -- ...\` wakes it`,
      );
    });
  });
