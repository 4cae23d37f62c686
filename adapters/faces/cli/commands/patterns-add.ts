// `patterns add`: widens the grammar by a data string.

import type { Command } from 'commander';
import { addPattern } from '../../../wiring/ledger/patterns.ts';
import { withLedger } from '../session.ts';

export const declare = (command: Command): Command =>
  command.argument(
    '<expression>',
    String.raw`the string and its repetition, as in '(?:\xde\xad-free)+'`,
  );

export const run = (command: Command): Promise<void> =>
  withLedger(command, 'write', async (ledger, output) => {
    const added = await addPattern(ledger, command.args[0]!);
    output.summary('patterns add', { pattern: added.number, expression: added.expression });
    output.say(`pattern ${added.number} is ${added.expression}`);
  });
