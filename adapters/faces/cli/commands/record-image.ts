// `record image`: each file is one capture, in order.

import type { Command } from 'commander';
import type { Attachment } from '../../../../domain/values/attachment.ts';
import type { ToldLayout } from '../../../../domain/values/raw-layout.ts';
import { attachmentOfFile } from '../../../wiring/record/attachments.ts';
import {
  IMAGE_FORMAT_NAMES,
  isMachineKnown,
  recordImages,
  type FileTurn,
  type ImageFormatName,
} from '../../../wiring/record/record-images.ts';
import type { Ledger } from '../../../wiring/ledger/ledger.ts';
import type { CaptureRow } from '../../../../projections/models/vm-entry.ts';
import { collected, layoutNamed } from '../argument-values.ts';
import { UsageError } from '../failure.ts';
import { interruptible } from '../interruption.ts';
import { counted } from '../output.ts';
import {
  declareRecording,
  RecordedCaptures,
  recorderOptions,
  recordMode,
  sayCost,
  type RecordOptions,
} from '../recording.ts';
import { progressOf, warn, withLedger } from '../session.ts';

export const declare = (command: Command): Command =>
  declareRecording(
    command
      .argument('<file...>', 'images, oldest first; - is standard input')
      .requiredOption('--vm <name>', 'the VM they are of'),
  )
    .option('--time <time>', "time of the captures (default: each file's modification time)")
    .option('--new', 'pass over files that the VM has; a folder is what is in it, oldest first')
    .option(
      '--with <name=file>',
      'keep a file of up to 64 MiB beside the capture; may be repeated',
      collected,
    )
    .option('--note <text>', 'what to say of the captures, up to 1 KiB')
    .option('--format <format>', `${IMAGE_FORMAT_NAMES.join(', ')} (default: recognised)`)
    .option(
      '--layout <layout>',
      'how raw files lie: physical (each page at its address: the default) or packed (all RAM in one piece: the default with --machine)',
    )
    .option(
      '--machine <type>',
      'machine type of the guest: pc, q35, microvm, a version of one, firecracker, cloud-hypervisor',
    )
    .option('--diff', 'sparse files on top of the capture before: their holes did not change')
    .option('--full', 'holes of sparse files are zeros, however many');

interface LayoutOptions {
  readonly layout?: string;
  readonly machine?: string;
}

/** It goes on when nobody reads what it prints. */
export const goesOnUnread = true;

function formatOf(format: string | undefined): { format?: ImageFormatName } {
  if (format === undefined) return {};
  const known = IMAGE_FORMAT_NAMES.find((name) => name === format);
  if (known !== undefined) return { format: known };
  throw new UsageError(
    `the format ${JSON.stringify(format)} is not known: ${IMAGE_FORMAT_NAMES.join(', ')} was expected`,
  );
}

/** What is said of how the files lie; nothing, where nothing is. */
function toldOf({ layout, machine }: LayoutOptions): { told?: ToldLayout } {
  if (layout === undefined && machine === undefined) return {};
  const named = layout === undefined ? 'packed' : layoutNamed(layout);
  if (machine !== undefined && !isMachineKnown(machine))
    throw new UsageError(
      `it is not known where a machine ${JSON.stringify(machine)} has its RAM: pc, q35, microvm, a version of one (pc-q35-7.2), firecracker or cloud-hypervisor was expected`,
    );
  return { told: { layout: named, machine: machine ?? null } };
}

function timeOf(ledger: Ledger, text: string): number {
  const point = ledger.point(/^(time|ago):/u.test(text) ? text : `time:${text}`);
  if (point._tag !== 'time') throw new UsageError(`${JSON.stringify(text)} is no time`);
  return point.timeMs;
}

/** How far a recorder is, of all files that were given, where their sizes are known: done, and in all. */
function ofAllFiles(turn: FileTurn | null, done: number, total: number): [number, number] {
  if (turn === null || turn.bytes === 0 || total === 0) return [done, total];
  return [turn.doneBytes + (turn.bytes * done) / total, turn.totalBytes];
}

/** The files that are to be kept beside the capture. */
async function attachmentsOf(given: readonly string[] | undefined): Promise<readonly Attachment[]> {
  const attachments: Attachment[] = [];
  for (const text of given ?? []) {
    const at = text.indexOf('=');
    if (at < 1 || at === text.length - 1)
      throw new UsageError(`--with ${JSON.stringify(text)}: NAME=FILE was expected`);
    attachments.push(await attachmentOfFile(text.slice(0, at), text.slice(at + 1)));
  }
  return attachments;
}

export async function run(command: Command): Promise<void> {
  const options = command.opts<
    RecordOptions &
      LayoutOptions & { vm: string } & {
        new?: boolean;
        time?: string;
        format?: string;
        diff?: boolean;
        full?: boolean;
        with?: string[];
        note?: string;
      }
  >();
  const how = { ...formatOf(options.format), ...toldOf(options) };
  const isDifference = options.diff === true;
  if (isDifference && options.full === true)
    throw new UsageError('--diff and --full say opposite things of the holes of a file');
  const { note } = options;
  if (options.new === true && command.args.includes('-'))
    throw new UsageError('--new goes by names of files, and standard input has none');
  if (options.with !== undefined && options.new === true)
    throw new UsageError('--with keeps a file beside one capture, and --new may record many');
  if (options.with !== undefined && command.args.length > 1)
    throw new UsageError(
      `--with keeps a file beside one capture, and ${command.args.length} images are given: name one`,
    );
  const attachments = await attachmentsOf(options.with);
  const beside = { attachments, ...(note === undefined ? {} : { note }) };
  await withLedger(command, recordMode(options), async (ledger, output) => {
    const progress = progressOf(command, 'recording');
    const timeMs = options.time === undefined ? null : timeOf(ledger, options.time);
    let turn: FileTurn | null = null;
    const request = {
      files: command.args,
      timeMs,
      isNew: options.new === true,
      isDifference,
      beside,
      ...how,
      stdin: process.stdin,
      onFile: (next: FileTurn) => void (turn = next),
    };
    const recorded = new RecordedCaptures(output);
    const told = (): string =>
      options.new === true
        ? `${counted(recorded.count, 'capture is', 'captures are')} in the ledger, and what is left is not`
        : `${recorded.count} of ${counted(command.args.length, 'capture is', 'captures are')} in the ledger, and the rest is not`;
    const { passedOver, passedOverMoments } = await interruptible(told, (step) => {
      const onBytes = (done: number, total: number): void => {
        step();
        progress.bytes(...ofAllFiles(turn, done, total));
      };
      const recorder = { vm: options.vm, ...recorderOptions(options, onBytes) };
      const onCapture = (row: CaptureRow): void => {
        progress.clear();
        recorded.add(options.vm, row);
      };
      return recordImages(ledger, recorder, request, onCapture, (sentence) =>
        warn(command, sentence),
      );
    }).finally(() => progress.clear());
    recorded.end(options.vm, { passedOver: passedOver + passedOverMoments });
    for (const [count, one] of [
      [passedOver, 'file'],
      [passedOverMoments, 'snapshot'],
    ] as const)
      if (count > 0) output.say(`${counted(count, one)} passed over: ${options.vm} has them`);
    await sayCost(ledger, output);
  });
}
