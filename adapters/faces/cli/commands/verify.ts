// `verify`: reads everything back and checks it.

import type { Command } from 'commander';
import { headText, type LogHead } from '../../../../domain/evidence.ts';
import { verify } from '../../../wiring/verify.ts';
import type { Ledger } from '../../../wiring/ledger.ts';
import { openLedger } from '../../../wiring/open-ledger.ts';
import { repair } from '../../../wiring/repair.ts';
import { checkHead, headUnlessDamaged } from '../../../wiring/evidence.ts';
import { findingRow } from '../../rows/finding-rows.ts';
import { logHead } from '../argument-values.ts';
import { EXIT_DAMAGE, UsageError } from '../failure.ts';
import { interruptible } from '../interruption.ts';
import { openOptions, progressOf, withLedger } from '../session.ts';

export const declare = (command: Command): Command =>
  command
    .option(
      '--since <head>',
      'check that all that a head was of, printed by `head`, is there as it was',
      logHead,
    )
    .option('--repair', 'put back what can be, and say in the log what is lost')
    .option('--from <ledger>', 'with --repair: a ledger that may have what is damaged')
    .option('--yes', 'with --repair: also where very much is lost');

interface VerifyOptions {
  readonly since?: LogHead;
  readonly repair?: boolean;
  readonly from?: string;
  readonly yes?: boolean;
}

type OnProgress = (progress: { readonly done: number; readonly total: number }) => void;

/** Repairs first where that is asked for. */
async function check(command: Command, ledger: Ledger, onProgress: OnProgress) {
  const { repair: isRepair, from: url, yes: isConfirmed = false } = command.opts<VerifyOptions>();
  if (isRepair !== true) return { ...(await verify(ledger, onProgress)), packs: null };
  const { pageStore: _, ...options } = openOptions(command);
  const from = url === undefined ? null : await openLedger({ ...options, url, mode: 'read' });
  try {
    return await repair(ledger, { from, isConfirmed, onProgress });
  } finally {
    await from?.close();
  }
}

export async function run(command: Command): Promise<void> {
  const { repair: isRepair = false, from, yes } = command.opts<VerifyOptions>();
  if (!isRepair && (from !== undefined || yes !== undefined))
    throw new UsageError('--from and --yes say how to repair: --repair was expected with them');
  await withLedger(command, isRepair ? 'write' : 'read', async (ledger, output) => {
    const progress = progressOf(command, 'verifying');
    const told = (): string =>
      isRepair
        ? 'not all was repaired; what was stays'
        : 'not all was checked, and nothing was changed';
    const { since } = command.opts<VerifyOptions>();
    const {
      findings: found,
      summary: checked,
      packs: putBack,
    } = await interruptible(told, (step) =>
      check(command, ledger, ({ done, total }) => {
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
        putBack,
        head: head === null ? null : headText(head),
      });
    } else {
      for (const { kind, where, affects, reason, isNote } of findings)
        output.print(
          `${isNote === true ? 'note' : 'damaged'} ${kind}: ${where}: ${reason}; affects ${affects.length === 0 ? 'no point' : affects.join(', ')}`,
        );
      if (head !== null) output.print(`head ${headText(head)}`);
      if (putBack !== null) output.print(`${putBack} packs put back`);
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
}
