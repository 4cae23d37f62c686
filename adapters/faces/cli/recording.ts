// What `record image` and `record qemu` share.

import type { Command } from 'commander';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { type CaptureRow } from '../../../projections/models/catalogue.ts';
import { type Ledger } from '../../wiring/ledger.ts';
import { type SharePolicy } from '../../../domain/events/control.ts';
import { UsageError } from './failure.ts';
import { captureRow } from '../rows/capture-rows.ts';
import { bytesText, type Output } from './output.ts';
import type { progressOf } from './session.ts';

export const declareRecording = (command: Command): Command =>
  command
    .option('--group <group>', 'sharing group of a new VM (default: default)')
    .option(
      '--share <scope>',
      'what a new VM may share: pattern (patterns inside itself), vm (its own pages) or group (the default)',
    );

export interface RecordOptions {
  readonly vm: string;
  readonly group?: string;
  readonly share?: string;
}

/** Prints a capture as it is committed. */
export function showCapture(output: Output, vm: string, row: CaptureRow): void {
  if (output.isJson) {
    output.json(captureRow(vm, row));
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

export function recorderOptions(options: RecordOptions, progress: ReturnType<typeof progressOf>) {
  return {
    vm: options.vm,
    group: options.group ?? null,
    ...shareOf(options),
    onProgress: ({ pages, pageCount }: { pages: number; pageCount: number }) =>
      progress.bytes(pages * PAGE_BYTES, pageCount * PAGE_BYTES),
  };
}

export async function sayCost(ledger: Ledger, output: Output): Promise<void> {
  if (output.isJson) return;
  const { storedBytes, logBytes } = await ledger.storedBytes();
  output.say(`ledger: ${bytesText(storedBytes)} of pages, ${bytesText(logBytes)} of events`);
}
