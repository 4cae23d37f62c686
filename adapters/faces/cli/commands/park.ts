// `park`: records a clone for good, and ends its process; `wake` starts it again.

import type { Command } from 'commander';
import { cloneNamed, parkClone, parkedAs } from '../../../wiring/clones/parking.ts';
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
    const started = performance.now();
    const [id = ''] = command.args;
    const clone = cloneNamed(ledger, id);
    const { vm = parkedAs(clone) } = command.opts<{ vm?: string }>();
    const onWarning = (sentence: string): void => warn(command, sentence);
    const { as, row, privatePages } = await parkClone(ledger, clone, { as: vm, onWarning });
    const { capture, stored, written } = row;
    const seconds = (performance.now() - started) / 1000;
    output.summary('park', { id, vm: as, capture, privatePages, stored, written, seconds });
    output.say(
      `clone ${id} is parked as ${as}@${capture}; \`pageledger wake ${id} -- ...\` wakes it`,
    );
  });
