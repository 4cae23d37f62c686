// `verify`: reads everything back and checks it.

import type { Command } from 'commander';
import { verify } from '../../../wiring/audit.ts';
import { findingRow } from '../../rows/finding-rows.ts';
import { EXIT_DAMAGE } from '../failure.ts';
import { interruptible } from '../interruption.ts';
import { progressOf, withLedger } from '../session.ts';

export const declare = (command: Command): Command => command;

export const run = (command: Command): Promise<void> =>
  withLedger(command, 'read', async (ledger, output) => {
    const progress = progressOf(command, 'verifying');
    const told = (): string => 'not all was checked, and nothing was changed';
    const { findings, summary } = await interruptible(told, (step) =>
      verify(ledger, ({ done, total }) => {
        step();
        progress.bytes(done, total);
      }),
    ).finally(() => progress.clear());
    if (output.isJson) {
      for (const finding of findings) output.json(findingRow(finding));
      output.summary('verify', {
        checked: summary.checked,
        damaged: summary.damaged,
        withoutKey: summary.withoutKey,
      });
    } else {
      for (const { kind, where, affects, reason, isNote } of findings)
        output.print(
          `${isNote === true ? 'note' : 'damaged'} ${kind}: ${where}: ${reason}; affects ${affects.length === 0 ? 'no point' : affects.join(', ')}`,
        );
      const { captures, packs, pages } = summary.checked;
      output.print(
        `${captures} captures, ${packs} packs, ${pages} stored pages checked; ${summary.damaged} damaged`,
      );
      if (summary.withoutKey.length > 0)
        output.print(
          `identifiers were not checked: no key of group ${summary.withoutKey.join(', ')}`,
        );
    }
    if (summary.damaged > 0) process.exitCode = EXIT_DAMAGE;
  });
