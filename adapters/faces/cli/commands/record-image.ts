// `record image`: each file is one capture, in order.

import type { Command } from 'commander';
import { recordImages } from '../../../wiring/record.ts';
import type { Ledger } from '../../../wiring/ledger.ts';
import { UsageError } from '../failure.ts';
import {
  declareRecording,
  recorderOptions,
  sayCost,
  showCapture,
  type RecordOptions,
} from '../recording.ts';
import { progressOf, withLedger } from '../session.ts';

export const declare = (command: Command): Command =>
  declareRecording(
    command
      .argument('<file...>', 'images, oldest first; - is standard input')
      .requiredOption('--vm <name>', 'the VM they are of'),
  )
    .option('--time <time>', "time of the captures (default: each file's modification time)")
    .option('--format <format>', 'raw or qemu (default: recognised)');

/** It goes on when nobody reads what it prints. */
export const goesOnUnread = true;

function formatOf(format: string | undefined): { format?: 'raw' | 'qemu' } {
  if (format === undefined) return {};
  if (format === 'raw' || format === 'qemu') return { format };
  throw new UsageError(
    `the format ${JSON.stringify(format)} is not known: raw or qemu was expected`,
  );
}

function timeOf(ledger: Ledger, text: string): number {
  const point = ledger.point(/^(time|ago):/u.test(text) ? text : `time:${text}`);
  if (point._tag !== 'time') throw new UsageError(`${JSON.stringify(text)} is no time`);
  return point.timeMs;
}

export async function run(command: Command): Promise<void> {
  const options = command.opts<RecordOptions & { time?: string; format?: string }>();
  const format = formatOf(options.format);
  await withLedger(command, 'create', async (ledger, output) => {
    const progress = progressOf('recording');
    const timeMs = options.time === undefined ? null : timeOf(ledger, options.time);
    const request = { files: command.args, timeMs, ...format, stdin: process.stdin };
    await recordImages(ledger, recorderOptions(options, progress), request, (row) => {
      progress.clear();
      showCapture(output, options.vm, row);
    }).finally(() => progress.clear());
    await sayCost(ledger, output);
  });
}
