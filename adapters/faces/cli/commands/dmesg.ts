// `dmesg`: the messages of a Linux guest's kernel at a point.

import type { Command } from 'commander';
import type { KernelMessage } from '../../../../domain/guest/kernel-log.ts';
import { messagesOf } from '../../../wiring/guest/guest.ts';
import { messageRow, pointCells } from '../../rows/guest-rows.ts';
import { declareNewest, excerptByTime, excerptOf } from '../excerpt.ts';
import { declareGuestPoint, guestPointOf } from '../guest-point.ts';
import { drained, withLedger } from '../session.ts';

const SECONDS_DIGITS = 12;

export const declare = (command: Command): Command => declareNewest(declareGuestPoint(command));

export const run = (command: Command): Promise<void> =>
  withLedger(command, 'read', async (ledger, output) => {
    const point = guestPointOf(command, ledger);
    const messages = await messagesOf(ledger, point);
    const at = ({ seconds }: KernelMessage): number => seconds;
    for (const message of excerptByTime(messages, excerptOf(command, ledger), at)) {
      const { seconds, text } = message;
      const time = `[${seconds.toFixed(6).padStart(SECONDS_DIGITS)}]`;
      if (output.isJson) output.json({ ...pointCells(point), ...messageRow(message) });
      else for (const line of text.split('\n')) output.print(`${time} ${line}`);
      await drained();
    }
  });
