// `owners`: who owns the pages of a Linux guest at a point.

import type { Command } from 'commander';
import { ownersOf } from '../../../wiring/guest/guest-owners.ts';
import { ownerRow, pointCells } from '../../rows/guest-rows.ts';
import { declareEnd, endAskedOf, endOf } from '../excerpt.ts';
import { declareGuestPoint, guestPointOf } from '../guest-point.ts';
import { field, mayBeCut } from '../output.ts';
import { OWNED_PAGES_COLUMNS } from '../owner-tables.ts';
import { withLedger } from '../session.ts';

export const declare = (command: Command): Command => declareEnd(declareGuestPoint(command));

export const run = (command: Command): Promise<void> =>
  withLedger(command, 'read', async (ledger, output) => {
    const point = guestPointOf(command, ledger);
    const rows = (await ownersOf(ledger, point)).map((owner) => ({
      ...pointCells(point),
      ...ownerRow(owner),
    }));
    output.rows(endOf(rows, endAskedOf(command)), [
      ...OWNED_PAGES_COLUMNS,
      mayBeCut(field('command')),
    ]);
  });
