// `ps`: the processes of a Linux guest at a point, and how much of each changed since another one.

import type { Command } from 'commander';
import { processesOf } from '../../../wiring/guest/guest.ts';
import { processesSince } from '../../../wiring/guest/guest-owners.ts';
import { changedProcessRow, pointCells, processRow } from '../../rows/guest-rows.ts';
import { declareEnd, endAskedOf, endOf } from '../excerpt.ts';
import { declareGuestPoint, guestPointOf } from '../guest-point.ts';
import { field, mayBeCut, numeric } from '../output.ts';
import { withLedger } from '../session.ts';

export const declare = (command: Command): Command =>
  declareEnd(declareGuestPoint(command)).option(
    '--since <point>',
    'count pages that changed since this point',
  );

export const run = (command: Command): Promise<void> =>
  withLedger(command, 'read', async (ledger, output) => {
    const point = guestPointOf(command, ledger);
    const { since } = command.opts<{ since?: string }>();
    const { entry } = point;
    const rows =
      since === undefined
        ? (await processesOf(ledger, point)).map(processRow)
        : (
            await processesSince(ledger, {
              point,
              since: { entry, row: ledger.locate(entry, since) },
            })
          ).map(changedProcessRow);
    const told = rows.map((row) => ({ ...pointCells(point), ...row }));
    output.rows(endOf(told, endAskedOf(command)), [
      numeric('pid'),
      field('state'),
      numeric('pages'),
      ...(since === undefined ? [] : [numeric('changed')]),
      mayBeCut(field('command')),
    ]);
  });
