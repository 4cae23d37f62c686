// `verify`: reads everything back and checks it.

import type { Command } from 'commander';
import { headText, type LogHead } from '../../../../domain/evidence.ts';
import { verify } from '../../../wiring/verify.ts';
import { checkHead, headUnlessDamaged } from '../../../wiring/evidence.ts';
import { findingRow } from '../../rows/finding-rows.ts';
import { logHead } from '../argument-values.ts';
import { EXIT_DAMAGE } from '../failure.ts';
import { interruptible } from '../interruption.ts';
import { progressOf, withLedger } from '../session.ts';

export const declare = (command: Command): Command =>
  command.option(
    '--since <head>',
    'check that all that a head was of, printed by `head`, is there as it was',
    logHead,
  );

export const run = (command: Command): Promise<void> =>
  withLedger(command, 'read', async (ledger, output) => {
    const progress = progressOf(command, 'verifying');
    const told = (): string => 'not all was checked, and nothing was changed';
    const { since } = command.opts<{ since?: LogHead }>();
    const { findings: found, summary: checked } = await interruptible(told, (step) =>
      verify(ledger, ({ done, total }) => {
        step();
        progress.bytes(done, total);
      }),
    ).finally(() => progress.clear());
    const changed = since === undefined ? null : await checkHead(ledger, since);
    const findings = changed === null ? found : [...found, changed];
    const summary = { ...checked, damaged: checked.damaged + (changed === null ? 0 : 1) };
    const head = await headUnlessDamaged(ledger);
    if (output.isJson) {
      for (const finding of findings) output.json(findingRow(finding));
      output.summary('verify', {
        checked: summary.checked,
        damaged: summary.damaged,
        withoutKey: summary.withoutKey,
        head: head === null ? null : headText(head),
      });
    } else {
      for (const { kind, where, affects, reason, isNote } of findings)
        output.print(
          `${isNote === true ? 'note' : 'damaged'} ${kind}: ${where}: ${reason}; affects ${affects.length === 0 ? 'no point' : affects.join(', ')}`,
        );
      if (head !== null) output.print(`head ${headText(head)}`);
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
