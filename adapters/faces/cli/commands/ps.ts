// `ps`: the processes of a Linux guest at a point.

import type { Command } from 'commander';
import { processesOf } from '../../../wiring/guest.ts';
import { processRow } from '../../rows/guest-rows.ts';
import { declareGuestPoint, guestPointOf } from '../guest-point.ts';
import { field, numeric } from '../output.ts';
import { withLedger } from '../session.ts';

export const declare = (command: Command): Command => declareGuestPoint(command);

export const run = (command: Command): Promise<void> =>
  withLedger(command, 'read', async (ledger, output) => {
    const processes = await processesOf(ledger, guestPointOf(command, ledger));
    output.rows(processes.map(processRow), [
      numeric('pid'),
      field('state'),
      numeric('pages'),
      field('command'),
    ]);
  });
