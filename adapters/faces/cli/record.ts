// `record image` and `record qemu`.

import type { Command } from 'commander';
import { durationMs } from '../../../domain/values/point.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { recordGuest, recordImages } from '../../wiring/record.ts';
import { type CaptureRow } from '../../../projections/models/catalogue.ts';
import { type Ledger } from '../../wiring/ledger.ts';
import { type SharePolicy } from '../../../domain/events/control.ts';
import { UsageError } from './failure.ts';
import { captureJson } from './list.ts';
import { bytesText, type Output } from './output.ts';
import { progressOf, warn, withLedger } from './session.ts';

interface RecordOptions {
  readonly vm: string;
  readonly group?: string;
  readonly share?: string;
}

/** Prints a capture as it is committed. */
function showCapture(output: Output, vm: string, row: CaptureRow): void {
  if (output.isJson) {
    output.json(captureJson(row));
    return;
  }
  const pause = row.pauseMs === null ? '' : `, guest paused ${row.pauseMs.toFixed(1)} ms`;
  output.say(
    `${vm}@${row.capture}: ${row.written} pages written (${row.stored} stored, ${row.merged} merged, ` +
      `${row.pattern} pattern), ${row.unchanged} unchanged${pause}`,
  );
}

/** What the VM may share, where it was said. */
function shareOf({ share, group }: RecordOptions): { share?: SharePolicy } {
  if (share === undefined) return {};
  if (share !== 'pattern' && share !== 'vm' && share !== 'group')
    throw new UsageError(
      `--share ${JSON.stringify(share)} is not known: pattern, vm or group was expected`,
    );
  if (share !== 'group' && group !== undefined)
    throw new UsageError(
      `--share ${share} gives the VM a group of its own, so --group ${group} cannot be`,
    );
  return { share };
}

function recorderOptions(options: RecordOptions, progress: ReturnType<typeof progressOf>) {
  return {
    vm: options.vm,
    group: options.group ?? null,
    ...shareOf(options),
    onProgress: ({ pages, pageCount }: { pages: number; pageCount: number }) =>
      progress.bytes(pages * PAGE_BYTES, pageCount * PAGE_BYTES),
  };
}

function formatOf(format: string | undefined): { format?: 'raw' | 'qemu' } {
  if (format === undefined) return {};
  if (format === 'raw' || format === 'qemu') return { format };
  throw new UsageError(
    `the format ${JSON.stringify(format)} is not known: raw or qemu was expected`,
  );
}

export async function recordImage(files: readonly string[], command: Command): Promise<void> {
  const options = command.opts<RecordOptions & { time?: string; format?: string }>();
  const format = formatOf(options.format);
  await withLedger(command, 'create', async (ledger, output) => {
    const progress = progressOf('recording');
    const timeMs = options.time === undefined ? null : timeOf(ledger, options.time);
    const request = { files, timeMs, ...format, stdin: process.stdin };
    await recordImages(ledger, recorderOptions(options, progress), request, (row) => {
      progress.clear();
      showCapture(output, options.vm, row);
    }).finally(() => progress.clear());
    await sayCost(ledger, output);
  });
}

function timeOf(ledger: Ledger, text: string): number {
  const point = ledger.point(/^(time|ago):/u.test(text) ? text : `time:${text}`);
  if (point._tag !== 'time') throw new UsageError(`${JSON.stringify(text)} is no time`);
  return point.timeMs;
}

async function sayCost(ledger: Ledger, output: Output): Promise<void> {
  if (output.isJson) return;
  const { storedBytes, logBytes } = await ledger.storedBytes();
  output.say(`ledger: ${bytesText(storedBytes)} of pages, ${bytesText(logBytes)} of events`);
}

export async function recordQemu(command: Command): Promise<void> {
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
