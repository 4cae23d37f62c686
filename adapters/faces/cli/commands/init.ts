// `init`: makes a ledger, where there is none.

import type { Command } from 'commander';
import { withLedger } from '../session.ts';

export const declare = (command: Command): Command => command;

export const run = (command: Command): Promise<void> =>
  withLedger(command, 'init', (ledger, output) => {
    output.summary('init', { ledger: ledger.id });
    output.say(`ledger ${ledger.id ?? ''} is made; \`pageledger record\` records into it`);
    return Promise.resolve();
  });
