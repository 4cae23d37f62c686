// `checkpoint`: names a point, which keeps it and lays it out, or gives a name up.

import type { Command } from 'commander';
import { isLedgerError } from '../../../../domain/values/ledger-error.ts';
import { PAGE_BYTES } from '../../../../domain/values/page.ts';
import { dropCheckpoint } from '../../../wiring/forget/forget.ts';
import type { Ledger } from '../../../wiring/ledger/ledger.ts';
import { recordGuest } from '../../../wiring/record/record-guest.ts';
import {
  checkCheckpoint,
  takeCheckpoint,
  type CheckpointRequest,
  type CheckpointTaken,
} from '../../../wiring/points/vm-life.ts';
import { takenRow } from '../../rows/capture-rows.ts';
import { UsageError } from '../failure.ts';
import { interruptible } from '../interruption.ts';
import { bytesText, type Output, counted } from '../output.ts';
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

/** Names a point that is there, and says so. */
async function named(
  command: Command,
  { ledger, output }: { readonly ledger: Ledger; readonly output: Output },
  { capture, image }: Pick<CheckpointRequest, 'capture' | 'image'>,
): Promise<void> {
  const { vm, name, note } = command.opts<CheckpointOptions>();
  const progress = progressOf(command, 'laying out');
  const told = (): string => `${vm}@${capture} has no name yet: what was copied for it is deleted`;
  const taken = await interruptible(told, (step) =>
    takeCheckpoint(ledger, {
      vm,
      name,
      capture,
      ...(note === undefined ? {} : { note }),
      ...(image === undefined ? {} : { image }),
      onPages: ({ pages, pageCount }) => {
        step();
        progress.bytes(pages * PAGE_BYTES, pageCount * PAGE_BYTES);
      },
    }),
  ).finally(() => progress.clear());
  if (isLedgerError(taken)) warn(command, `the point is named, and not laid out: ${taken.message}`);
  output.summary('checkpoint', takenRow({ vm, name, capture }, note ?? null, taken));
  output.say(`${vm}@${capture} is checkpoint ${name}${layoutText(taken)}`);
}

/** Captures a running guest, and names the point while its memory is at hand. */
async function captured(
  command: Command,
  joined: { readonly ledger: Ledger; readonly output: Output },
  qmp: string,
): Promise<void> {
  const { ledger, output } = joined;
  const { vm, name, note } = command.opts<CheckpointOptions>();
  checkCheckpoint(ledger, { vm, name, ...(note === undefined ? {} : { note }) });
  const signal = new AbortController().signal;
  const progress = progressOf(command, 'recording');
  const told = (): string => `nothing of ${vm} was recorded or named, and its guest runs on`;
  await interruptible(told, (step) => {
    const onProgress = ({ pages, pageCount }: { pages: number; pageCount: number }): void => {
      step();
      progress.bytes(pages * PAGE_BYTES, pageCount * PAGE_BYTES);
    };
    return recordGuest(
      ledger,
      { vm, group: null, onProgress },
      { qmp, everyMs: 1, count: 1, signal },
      {
        onCapture: (row) => {
          progress.clear();
          if (!output.isJson) showCapture(output, vm, row);
        },
        onRecorded: ({ capture }, { image }) => named(command, joined, { capture, image }),
        onSkip: () => undefined,
        onWarning: (sentence) => warn(command, sentence),
      },
    );
  }).finally(() => progress.clear());
}

const take = (command: Command): Promise<void> =>
  withLedger(command, 'write', async (ledger, output) => {
    const { vm, at, qmp } = command.opts<CheckpointOptions>();
    if (qmp !== undefined) return captured(command, { ledger, output }, qmp);
    const { capture } = ledger.resolve(ledger.vm(vm), at ?? 'latest');
    return named(command, { ledger, output }, { capture });
  });

/** What laying a point out did, as the end of a sentence. */
function layoutText(taken: CheckpointTaken): string {
  if (isLedgerError(taken)) return '';
  const { layout, readsBefore, reads } = taken;
  if (layout.map === null) return `; its pages lie together (${counted(reads, 'read')})`;
  return `; ${bytesText(layout.bytes)} of pages that lay apart copied: ${counted(reads, 'read')} instead of ${readsBefore}`;
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
