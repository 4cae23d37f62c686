// `head`: the digest of the log, to write down and give to `verify --since` later.

import type { Command } from 'commander';
import { headText } from '../../../../domain/evidence.ts';
import { headOfLedger } from '../../../wiring/verify/evidence.ts';
import { withLedger } from '../session.ts';

export const declare = (command: Command): Command => command;

export const run = (command: Command): Promise<void> =>
  withLedger(command, 'read', async (ledger, output) => {
    const head = await headOfLedger(ledger);
    if (output.isJson) output.json({ head: headText(head), ...head });
    else output.print(`${headText(head)}  ledger ${head.ledger ?? 'unknown'}`);
  });
