// `record qemu`: captures of a running guest, until stopped.

import type { Command } from 'commander';
import { durationMs } from '../../../../domain/values/instant.ts';
import { recordGuest } from '../../../wiring/record.ts';
import { positiveNumber } from '../argument-values.ts';
import { UsageError } from '../failure.ts';
import { untilSignal } from '../interruption.ts';
import {
  declareRecording,
  RecordedCaptures,
  recorderOptions,
  recordMode,
  sayCost,
  type RecordOptions,
} from '../recording.ts';
import { progressOf, tell, warn, withLedger } from '../session.ts';

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
  let isSending = false;
  const isHeld = (): boolean => {
    if (isSending) tell(command, 'QEMU is still sending: that is read to its end first');
    return isSending;
  };
  await untilSignal(async (signal) => {
    signal.addEventListener('abort', () =>
      tell(command, 'finishing the capture under way, then stopping'),
    );
    await withLedger(command, recordMode(options), async (ledger, output) => {
      const progress = progressOf(command, 'recording');
      const recorded = new RecordedCaptures(output, options.vm);
      const recorder = recorderOptions(options, (done, total) => progress.bytes(done, total));
      const request = { qmp: options.qmp, everyMs, count: options.count ?? null, signal };
      await recordGuest(ledger, recorder, request, {
        onCapture: (row) => {
          progress.clear();
          recorded.add(row);
        },
        onSending: (sends) => {
          isSending = sends;
        },
        onSkip: (ticks) =>
          warn(
            command,
            `${ticks} tick(s) of --every ${options.every} went by during a capture and were skipped`,
          ),
        onWarning: (sentence) => warn(command, sentence),
      }).finally(() => progress.clear());
      recorded.end();
      await sayCost(ledger, output);
    });
  }, isHeld);
}
