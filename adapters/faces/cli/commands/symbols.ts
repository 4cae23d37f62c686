// `symbols`: names and addresses of a Linux kernel at a point.

import type { Command } from 'commander';
import { symbolsOf } from '../../../wiring/guest/guest.ts';
import { pointCells, symbolRow } from '../../rows/guest-rows.ts';
import { virtualAddress } from '../argument-values.ts';
import { declareGuestPoint, guestPointOf } from '../guest-point.ts';
import { drained, withLedger } from '../session.ts';

export const declare = (command: Command): Command =>
  declareGuestPoint(command).argument(
    '[symbol]',
    'a name, or an address (0x...), which lies in a symbol; absent: all of them',
  );

export const run = (command: Command): Promise<void> =>
  withLedger(command, 'read', async (ledger, output) => {
    const [asked] = command.args;
    let of: Parameters<typeof symbolsOf>[2] = null;
    if (asked !== undefined)
      of = /^0x/iu.test(asked) ? { address: virtualAddress(asked) } : { name: asked };
    const point = guestPointOf(command, ledger);
    for await (const symbol of symbolsOf(ledger, point, of)) {
      const { address, kind, name, offset } = symbol;
      const behind = offset === 0 ? '' : `+0x${offset.toString(16)}`;
      if (output.isJson) output.json({ ...pointCells(point), ...symbolRow(symbol) });
      else output.print(`${address.toString(16).padStart(16, '0')} ${kind} ${name}${behind}`);
      await drained();
    }
  });
