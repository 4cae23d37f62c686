// `patterns`: what is recognised in pages and described instead of stored.

import type { Command } from 'commander';
import { listPatterns } from '../../../wiring/ledger/patterns.ts';
import { field, mayBeCut, numeric } from '../output.ts';
import { withLedger } from '../session.ts';

export const declare = (command: Command): Command => command;

export const run = (command: Command): Promise<void> =>
  withLedger(command, 'read', async (ledger, output) => {
    output.rows(
      listPatterns(ledger).map((row) => ({ ...row })),
      [
        numeric('pattern'),
        field('class'),
        mayBeCut(field('expression')),
        mayBeCut(field('meaning')),
      ],
    );
    return Promise.resolve();
  });
