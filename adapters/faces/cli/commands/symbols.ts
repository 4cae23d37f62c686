// `symbols`: names and addresses of a Linux kernel at a point.

import type { Command } from 'commander';
import { symbolsOf, type FoundSymbol } from '../../../wiring/guest/guest.ts';
import { pointCells, symbolRow } from '../../rows/guest-rows.ts';
import { virtualAddress } from '../argument-values.ts';
import { declareEnd, endAskedOf, HeldItems } from '../excerpt.ts';
import { declareGuestPoint, guestPointOf } from '../guest-point.ts';
import { drained, withLedger } from '../session.ts';

export const declare = (command: Command): Command =>
  declareEnd(declareGuestPoint(command)).argument(
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
    const print = async (symbol: FoundSymbol): Promise<void> => {
      const { address, kind, name, offset } = symbol;
      const behind = offset === 0 ? '' : `+0x${offset.toString(16)}`;
      if (output.isJson) output.json({ ...pointCells(point), ...symbolRow(symbol) });
      else output.print(`${address.toString(16).padStart(16, '0')} ${kind} ${name}${behind}`);
      await drained();
    };
    const held = HeldItems.of<FoundSymbol>(endAskedOf(command));
    for await (const symbol of symbolsOf(ledger, point, of))
      if (held === null) await print(symbol);
      else held.add(symbol);
    for (const symbol of held?.items() ?? []) await print(symbol);
  });
