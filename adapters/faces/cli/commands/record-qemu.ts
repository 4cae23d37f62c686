// `record qemu`: captures of a running guest, until stopped.

import type { Command } from 'commander';
import { durationMs } from '../../../../domain/values/point.ts';
import { recordGuest } from '../../../wiring/record.ts';
import { positiveNumber } from '../argument-values.ts';
import { UsageError } from '../failure.ts';
import {
  declareRecording,
  recorderOptions,
  sayCost,
  showCapture,
  type RecordOptions,
} from '../recording.ts';
import { progressOf, warn, withLedger } from '../session.ts';

export const declare = (command: Command): Command =>
  declareRecording(
    command
      .requiredOption('--vm <name>', 'the VM it is')
      .requiredOption('--qmp <socket>', "path of the guest's QMP socket"),
  )
    .option('--every <duration>', 'time from one capture to the next', '5s')
    .option('--count <n>', 'captures to take (default: until stopped)', positiveNumber);

/** It goes on when nobody reads what it prints. */
export const goesOnUnread = true;

export async function run(command: Command): Promise<void> {
  const options = command.opts<RecordOptions & { qmp: string; every: string; count?: number }>();
  const everyMs = durationMs(options.every);
  if (everyMs === null || everyMs <= 0)
    throw new UsageError(`--every ${options.every} is no duration: 500ms, 5s, 1m were expected`);
  const abort = new AbortController();
  const stop = (): void => {
    process.stderr.write('pageledger: finishing the capture under way, then stopping\n');
    abort.abort();
  };
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  try {
    await withLedger(command, 'create', async (ledger, output) => {
      const progress = progressOf('recording');
      const request = {
        qmp: options.qmp,
        everyMs,
        count: options.count ?? null,
        signal: abort.signal,
      };
      await recordGuest(ledger, recorderOptions(options, progress), request, {
        onCapture: (row) => {
          progress.clear();
          showCapture(output, options.vm, row);
        },
        onSkip: (ticks) =>
          warn(
            `${ticks} tick(s) of --every ${options.every} went by during a capture and were skipped`,
          ),
        onWarning: warn,
      }).finally(() => progress.clear());
      await sayCost(ledger, output);
    });
  } finally {
    process.off('SIGINT', stop);
    process.off('SIGTERM', stop);
  }
}
