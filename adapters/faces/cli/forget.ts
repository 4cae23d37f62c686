// `forget`, and `checkpoint --drop`.

import type { Command } from 'commander';
import { dropCheckpoint, forgetPoints } from '../../wiring/compact.ts';
import { withLedger } from './session.ts';

const pointsText = (count: number): string => (count === 1 ? '1 capture' : `${count} captures`);

export const forget = (command: Command): Promise<void> =>
  withLedger(command, 'write', async (ledger, output) => {
    const { vm, before } = command.opts<{ vm: string; before: string }>();
    const { captures, firstKept } = await forgetPoints(ledger, { vm, before });
    if (output.isJson) output.json({ vm, forgotten: captures, firstKept });
    else
      output.say(
        `${pointsText(captures.length)} of ${vm} forgotten (${captures.map((capture) => `@${capture}`).join(', ')}); \`pageledger compact\` gives their space back`,
      );
  });

export const drop = (command: Command): Promise<void> =>
  withLedger(command, 'write', async (ledger, output) => {
    const { vm, name } = command.opts<{ vm: string; name: string }>();
    const { capture, isForgotten } = await dropCheckpoint(ledger, { vm, name });
    if (output.isJson) output.json({ vm, name, capture, dropped: true, forgotten: isForgotten });
    else
      output.say(
        `checkpoint ${name} of ${vm} dropped; capture ${capture} ${isForgotten ? 'is forgotten with it' : 'stays'}`,
      );
  });
