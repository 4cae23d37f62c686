// `patterns` and `patterns add`: what is recognised in pages and described instead of stored.

import type { Command } from 'commander';
import { addPattern, listPatterns } from '../../wiring/patterns.ts';
import { field, numeric } from './output.ts';
import { withLedger } from './session.ts';

export const list = (command: Command): Promise<void> =>
  withLedger(command, 'read', async (ledger, output) => {
    output.rows(
      listPatterns(ledger).map((row) => ({ ...row })),
      [numeric('pattern'), field('class'), field('expression'), field('meaning')],
    );
    return Promise.resolve();
  });

export const add = (expression: string, command: Command): Promise<void> =>
  withLedger(command, 'write', async (ledger, output) => {
    const added = await addPattern(ledger, expression);
    if (output.isJson) output.json({ pattern: added.number, expression: added.expression });
    else output.say(`pattern ${added.number} is ${added.expression}`);
  });
