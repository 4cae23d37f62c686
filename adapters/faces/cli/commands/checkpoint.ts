// `checkpoint`: names a point, which keeps it and lays it out, or gives a name up.

import type { Command } from 'commander';
import { isLedgerError } from '../../../../domain/values/ledger-error.ts';
import { PAGE_BYTES } from '../../../../domain/values/page.ts';
import type { CaptureRow } from '../../../../projections/models/vm-entry.ts';
import { dropCheckpoint } from '../../../wiring/forget/forget.ts';
import type { Ledger } from '../../../wiring/ledger/ledger.ts';
import { recordGuest } from '../../../wiring/record/record-guest.ts';
import {
  checkCheckpoint,
  takeCheckpoint,
  type CheckpointTaken,
} from '../../../wiring/points/vm-life.ts';
import { takenRow } from '../../rows/capture-rows.ts';
import { UsageError } from '../failure.ts';
import { bytesText, type Output } from '../output.ts';
import { showCapture } from '../recording.ts';
import { progressOf, warn, withLedger } from '../session.ts';

export const declare = (command: Command): Command =>
  command
    .requiredOption('--vm <name>', 'the VM')
    .requiredOption('--name <name>', "the checkpoint's name")
    .option('--at <point>', 'the point (default: latest)')
    .option('--qmp <socket>', 'capture the running guest of this QMP socket, and name that')
    .option('--note <text>', 'what to say of it, up to 1 KiB')
    .option('--drop', 'give the name up: what only it kept is forgotten');

interface CheckpointOptions {
  readonly vm: string;
  readonly name: string;
  readonly at?: string;
  readonly qmp?: string;
  readonly note?: string;
  readonly drop?: boolean;
}

export async function run(command: Command): Promise<void> {
  const { at, qmp, drop, note } = command.opts<CheckpointOptions>();
  if (at !== undefined && qmp !== undefined)
    throw new UsageError('--at names a point that is there, and --qmp takes one: give one of them');
  if (drop !== true) return take(command);
  if (at !== undefined || qmp !== undefined || note !== undefined)
    throw new UsageError('--drop was expected alone, without --at, --qmp and --note');
  return dropName(command);
}

/** A capture of a running guest. */
async function captured(command: Command, ledger: Ledger, output: Output): Promise<CaptureRow> {
  const { vm, name, note, qmp } = command.opts<CheckpointOptions & { qmp: string }>();
  checkCheckpoint(ledger, { vm, name, ...(note === undefined ? {} : { note }) });
  const signal = new AbortController().signal;
  const progress = progressOf(command, 'recording');
  const recorder = {
    vm,
    group: null,
    onProgress: ({ pages, pageCount }: { pages: number; pageCount: number }) =>
      progress.bytes(pages * PAGE_BYTES, pageCount * PAGE_BYTES),
  };
  await recordGuest(
    ledger,
    recorder,
    { qmp, everyMs: 1, count: 1, signal },
    {
      onCapture: (row) => {
        progress.clear();
        if (!output.isJson) showCapture(output, vm, row);
      },
      onSkip: () => undefined,
      onWarning: (sentence) => warn(command, sentence),
    },
  ).finally(() => progress.clear());
  return ledger.resolve(ledger.vm(vm), 'latest');
}

const take = (command: Command): Promise<void> =>
  withLedger(command, 'write', async (ledger, output) => {
    const { vm, name, at, qmp, note } = command.opts<CheckpointOptions>();
    const { capture } =
      qmp === undefined
        ? ledger.resolve(ledger.vm(vm), at ?? 'latest')
        : await captured(command, ledger, output);
    const progress = progressOf(command, 'laying out');
    const taken = await takeCheckpoint(ledger, {
      vm,
      name,
      capture,
      ...(note === undefined ? {} : { note }),
      onPages: ({ pages, pageCount }) => progress.bytes(pages * PAGE_BYTES, pageCount * PAGE_BYTES),
    }).finally(() => progress.clear());
    if (isLedgerError(taken))
      warn(command, `the point is named, and not laid out: ${taken.message}`);
    output.summary('checkpoint', takenRow({ vm, name, capture }, note ?? null, taken));
    output.say(`${vm}@${capture} is checkpoint ${name}${layoutText(taken)}`);
  });

/** What laying a point out did, as the end of a sentence. */
function layoutText(taken: CheckpointTaken): string {
  if (isLedgerError(taken)) return '';
  const { layout, readsBefore, reads } = taken;
  if (layout.map === null) return `; its pages lie together (${reads} reads)`;
  return `; ${bytesText(layout.bytes)} of pages that lay apart copied: ${reads} reads instead of ${readsBefore}`;
}

const dropName = (command: Command): Promise<void> =>
  withLedger(command, 'write', async (ledger, output) => {
    const { vm, name } = command.opts<CheckpointOptions>();
    const { capture, isForgotten } = await dropCheckpoint(ledger, { vm, name });
    output.summary('checkpoint', { vm, name, capture, dropped: true, forgotten: isForgotten });
    output.say(
      `checkpoint ${name} of ${vm} dropped; capture ${capture} ${isForgotten ? 'is forgotten with it' : 'stays'}`,
    );
  });
