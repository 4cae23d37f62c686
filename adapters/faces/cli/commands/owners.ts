// `owners`: who owns the pages of a Linux guest at a point.

import type { Command } from 'commander';
import { PAGE_BYTES } from '../../../../domain/values/page.ts';
import { ownersOf } from '../../../wiring/guest.ts';
import { ownerRow } from '../../rows/guest-rows.ts';
import { declareGuestPoint, guestPointOf } from '../guest-point.ts';
import { bytesText, field, numeric } from '../output.ts';
import { withLedger } from '../session.ts';

export const declare = (command: Command): Command => declareGuestPoint(command);

export const run = (command: Command): Promise<void> =>
  withLedger(command, 'read', async (ledger, output) => {
    const owners = await ownersOf(ledger, guestPointOf(command, ledger));
    output.rows(owners.map(ownerRow), [
      field('owner'),
      numeric('pid'),
      numeric('pages'),
      {
        title: 'bytes',
        align: 'right',
        cell: ({ pages }) => bytesText(Number(pages) * PAGE_BYTES),
      },
      field('command'),
    ]);
  });
