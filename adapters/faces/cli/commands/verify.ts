// `verify`: reads everything back and checks it.

import type { Command } from 'commander';
import { verify } from '../../../wiring/audit.ts';
import { findingRow } from '../../rows/finding-rows.ts';
import { EXIT_DAMAGE } from '../failure.ts';
import { progressOf, withLedger } from '../session.ts';

export const declare = (command: Command): Command => command;

export const run = (command: Command): Promise<void> =>
  withLedger(command, 'read', async (ledger, output) => {
    const progress = progressOf('verifying');
    const { findings, summary } = await verify(ledger, ({ done, total }) =>
      progress.bytes(done, total),
    );
    progress.clear();
    if (output.isJson) {
      for (const finding of findings) output.json(findingRow(finding));
      output.json({
        checked: summary.checked,
        damaged: summary.damaged,
        withoutKey: summary.withoutKey,
      });
    } else {
      for (const { kind, where, affects, reason } of findings)
        output.say(
          `damaged ${kind}: ${where}: ${reason}; affects ${affects.length === 0 ? 'no point' : affects.join(', ')}`,
        );
      const { captures, packs, pages } = summary.checked;
      output.say(
        `${captures} captures, ${packs} packs, ${pages} stored pages checked; ${summary.damaged} damaged`,
      );
      if (summary.withoutKey.length > 0)
        output.say(
          `identifiers were not checked: no key of group ${summary.withoutKey.join(', ')}`,
        );
    }
    if (summary.damaged > 0) process.exitCode = EXIT_DAMAGE;
  });
