// `verify`: reads everything back and checks it.

import type { Command } from 'commander';
import { headText, type LogHead } from '../../../../domain/evidence.ts';
import { verify } from '../../../wiring/verify/verify.ts';
import type { Ledger } from '../../../wiring/ledger/ledger.ts';
import { openLedger } from '../../../wiring/opening/open-ledger.ts';
import { repair, type Repaired } from '../../../wiring/verify/repair.ts';
import { checkHead, headUnlessDamaged } from '../../../wiring/verify/evidence.ts';
import { findingRow } from '../../rows/finding-rows.ts';
import { logHead } from '../argument-values.ts';
import { EXIT_DAMAGE, UsageError } from '../failure.ts';
import { interruptible } from '../interruption.ts';
import { counted, type Output } from '../output.ts';
import { openOptions, progressOf, warn, withLedger } from '../session.ts';

export const declare = (command: Command): Command =>
  command
    .option(
      '--since <head>',
      'check that all that a head was of, printed by `head`, is there as it was',
      logHead,
    )
    .option('--repair', 'put back what can be, and say in the log what is lost')
    .option('--from <ledger>', 'with --repair: a ledger that may have what is damaged')
    .option(
      '--from-image <file...>',
      'with --repair: files of memory, or such as were kept beside a capture, that may have what is damaged',
    )
    .option('--yes', 'with --repair: also where very much is lost');

interface VerifyOptions {
  readonly since?: LogHead;
  readonly repair?: boolean;
  readonly from?: string;
  readonly fromImage?: readonly string[];
  readonly yes?: boolean;
}

/** Who hears how far it is. */
interface Told {
  readonly onProgress: (progress: { readonly done: number; readonly total: number }) => void;
  /** Called again and again. */
  readonly step: () => void;
}

type Checked = Pick<Repaired, 'findings' | 'summary' | 'withoutKey'> & RepairCounts;

/** What a repair did; null: none was asked for. */
interface RepairCounts {
  readonly packs: number | null;
  readonly healed: number | null;
  readonly rescued: number | null;
}

/** Repairs first where that is asked for. */
async function check(
  command: Command,
  ledger: Ledger,
  { onProgress, step }: Told,
): Promise<Checked> {
  const asked = command.opts<VerifyOptions>();
  const { repair: isRepair, from: url, fromImage: images = [], yes: isConfirmed = false } = asked;
  if (isRepair !== true)
    return {
      ...(await verify(ledger, onProgress)),
      packs: null,
      healed: null,
      rescued: null,
      withoutKey: [],
    };
  const { pageStore: _, ...options } = openOptions(command);
  const from = url === undefined ? null : await openLedger({ ...options, url, mode: 'read' });
  try {
    return await repair(ledger, { from, images, isConfirmed, onProgress, onStep: step });
  } finally {
    await from?.close();
  }
}

function printJson(output: Output, checked: Checked, head: string | null): void {
  const { findings, summary, packs: putBack, healed, rescued, withoutKey: notLookedFor } = checked;
  for (const finding of findings) output.json(findingRow(finding));
  output.summary('verify', {
    checked: summary.checked,
    damaged: summary.damaged,
    withoutKey: summary.withoutKey,
    putBack,
    healed,
    rescued,
    notLookedFor,
    head,
  });
}

function print(output: Output, checked: Checked, head: string | null): void {
  const { findings, summary, packs: putBack, healed, rescued } = checked;
  for (const { kind, where, affects, reason, isNote } of findings)
    output.print(
      `${isNote === true ? 'note' : 'damaged'} ${kind}: ${where}: ${reason}; affects ${affects.length === 0 ? 'no point' : affects.join(', ')}`,
    );
  if (head !== null) output.print(`head ${head}`);
  if (putBack !== null)
    output.print(
      `${counted(putBack, 'pack')} put back, ${counted(healed ?? 0, 'page')} found by identifier and stored anew, ${rescued} that ${rescued === 1 ? 'was' : 'were'} whole in damaged packs`,
    );
  const { captures, packs, pages } = summary.checked;
  output.print(
    `${counted(captures, 'capture')}, ${counted(packs, 'pack')}, ${counted(pages, 'stored page')} checked; ${summary.damaged} damaged`,
  );
  if (summary.withoutKey.length > 0)
    output.print(`identifiers were not checked: no key of group ${summary.withoutKey.join(', ')}`);
}

export async function run(command: Command): Promise<void> {
  const asked = command.opts<VerifyOptions>();
  const { repair: isRepair = false, from, fromImage, yes, since } = asked;
  if (!isRepair && (from !== undefined || fromImage !== undefined || yes !== undefined))
    throw new UsageError(
      '--from, --from-image and --yes say how to repair: --repair was expected with them',
    );
  await withLedger(command, isRepair ? 'write' : 'read', async (ledger, output) => {
    const progress = progressOf(command, 'verifying');
    const far = { done: 0, total: 0 };
    const told = (): string =>
      isRepair
        ? 'what was repaired by then stays, and the rest is not: repair again'
        : `${far.done} of ${counted(far.total, 'pack is', 'packs are')} checked, the rest is not, and nothing was changed`;
    const found = await interruptible(told, (step) =>
      check(command, ledger, {
        step,
        onProgress: ({ done, total }) => {
          Object.assign(far, { done, total });
          step();
          progress.count(done, total, 'pack');
        },
      }),
    ).finally(() => progress.clear());
    const changed = since === undefined ? null : await checkHead(ledger, since);
    const findings = changed === null ? found.findings : [...found.findings, changed];
    const damaged = found.summary.damaged + (changed === null ? 0 : 1);
    const checked = { ...found, findings, summary: { ...found.summary, damaged } };
    const head = await headUnlessDamaged(ledger);
    const show = output.isJson ? printJson : print;
    show(output, checked, head === null ? null : headText(head));
    for (const group of found.withoutKey)
      warn(
        command,
        `what is lost of sharing group '${group}' was not looked for, as its key is not here (KEY_MISSING): run \`pageledger group export\` on a host that has it, \`pageledger group import\` here, and repair again`,
      );
    if (damaged > 0) process.exitCode = EXIT_DAMAGE;
  });
}
