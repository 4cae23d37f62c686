// `copy`: a ledger into another, of any kind.

import type { Command } from 'commander';
import { copyLedger } from '../../../wiring/copy.ts';
import { openLedger } from '../../../wiring/open-ledger.ts';
import { interruptible } from '../interruption.ts';
import { bytesText } from '../output.ts';
import { lasting, openOptions, outputOf, progressOf } from '../session.ts';

export const declare = (command: Command): Command =>
  command
    .argument('<from>', 'the ledger to copy')
    .argument('<to>', 'a new ledger, or an earlier copy of the same one');

/** It goes on when nobody reads what it prints. */
export const goesOnUnread = true;

export async function run(command: Command): Promise<void> {
  const output = outputOf(command);
  const { pageStore, ...options } = openOptions(command);
  const from = await openLedger({ ...options, url: lasting(command.args[0]!), mode: 'read' });
  try {
    const store = pageStore === undefined ? {} : { pageStore };
    const to = await openLedger({
      ...options,
      ...store,
      url: lasting(command.args[1]!),
      mode: 'create',
    });
    const progress = progressOf(command, 'copying');
    try {
      const told = (): string => 'what was copied stays, and copy goes on from there';
      const copied = await interruptible(told, (step) =>
        copyLedger({ from, to }, ({ done, total }) => {
          step();
          progress.bytes(done, total);
        }),
      );
      progress.clear();
      output.summary('copy', { ...copied });
      const { events, packs, bytes, fingerprint } = copied;
      output.say(
        `${events} events and ${packs} packs (${bytesText(bytes)}) copied; the fingerprint of both ledgers is ${fingerprint}`,
      );
    } finally {
      progress.clear();
      await to.close();
    }
  } finally {
    await from.close();
  }
}
