// What `record image` and `record qemu` share.

import type { Command } from 'commander';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { unknownWritten } from '../../../projections/models/capture-rows.ts';
import type { CaptureRow } from '../../../projections/models/vm-entry.ts';
import type { Ledger } from '../../wiring/ledger/ledger.ts';
import type { LedgerMode } from '../../wiring/ledger/ledger-parts.ts';
import { type SharePolicy } from '../../../domain/events/control.ts';
import type { LargeHolding } from '../../../domain/use-cases/record/wanted-regions.ts';
import { UsageError } from './failure.ts';
import { captureRow } from '../rows/capture-rows.ts';
import { isoTime, type Row } from '../rows/row.ts';
import { bytesText, type Output } from './output.ts';

export const declareRecording = (command: Command): Command =>
  command
    .option('--init', 'make the ledger first, where there is none')
    .option('--group <group>', 'sharing group of a new VM (default: default)')
    .option(
      '--share <scope>',
      'what a new VM may share: pattern (patterns inside itself), vm (its own pages) or group (the default)',
    )
    .option(
      '--large <which>',
      'regions of 2 MiB to store whole and unmerged: follow (as large-pages decided), all or none (default: what is written is held small)',
    );

export interface RecordOptions {
  readonly vm?: string;
  readonly init?: boolean;
  readonly group?: string;
  readonly share?: string;
  readonly large?: string;
  readonly full?: boolean;
}

/** How captures are shown as they are committed. */
interface Shown {
  /** With their time of day, in UTC. */
  readonly isTimed?: boolean;
}

/** Where the time of day stands in an instant. */
const TIME_OF_DAY = [11, 19] as const;

function unknownText(row: CaptureRow): string {
  const pages = unknownWritten(row);
  return pages === 0 ? '' : `, ${pages} unknown`;
}

/** Prints a capture as it is committed. */
export function showCapture(
  output: Output,
  vm: string,
  row: CaptureRow,
  { isTimed = false }: Shown = {},
): void {
  if (output.isJson) {
    output.json(captureRow(vm, row));
    return;
  }
  const pause = row.pauseMs === null ? '' : `, guest paused ${row.pauseMs.toFixed(1)} ms`;
  const time = isTimed ? `${isoTime(row.timeMs).slice(...TIME_OF_DAY)} ` : '';
  output.say(
    `${time}${vm}@${row.capture}: ${row.written} ${row.written === 1 ? 'page' : 'pages'} written (${row.stored} stored, ${row.merged} merged, ` +
      `${row.pattern} pattern${unknownText(row)}), ${row.unchanged} unchanged${pause}`,
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

/** Which regions are held large, where it was said. */
function largeOf({ large }: RecordOptions): { large?: LargeHolding } {
  if (large === undefined) return {};
  if (large !== 'follow' && large !== 'all' && large !== 'none')
    throw new UsageError(
      `--large ${JSON.stringify(large)} is not known: follow, all or none was expected`,
    );
  return { large };
}

/** What is said of the VMs that are recorded, whichever they are. */
export const recorderOptions = (
  options: RecordOptions,
  onBytes: (done: number, total: number) => void,
) => ({
  group: options.group ?? null,
  ...shareOf(options),
  ...largeOf(options),
  isFull: options.full === true,
  onProgress: ({ pages, pageCount }: { pages: number; pageCount: number }) =>
    onBytes(pages * PAGE_BYTES, pageCount * PAGE_BYTES),
});

/** How a recorder opens the ledger: only --init makes one. */
export const recordMode = ({ init }: RecordOptions): LedgerMode =>
  init === true ? 'create' : 'write';

/** Captures as they are committed, and what they come to. */
export class RecordedCaptures {
  readonly #output: Output;
  readonly #shown: Shown;
  readonly #vms = new Set<string>();
  #captures = 0;
  readonly #pages = { written: 0, stored: 0, merged: 0, pattern: 0, unknown: 0, unchanged: 0 };

  constructor(output: Output, shown: Shown = {}) {
    this.#output = output;
    this.#shown = shown;
  }

  get count(): number {
    return this.#captures;
  }

  add(vm: string, row: CaptureRow): void {
    showCapture(this.#output, vm, row, this.#shown);
    this.#vms.add(vm);
    this.#captures += 1;
    const pages = this.#pages;
    pages.written += row.written;
    pages.stored += row.stored;
    pages.merged += row.merged;
    pages.pattern += row.pattern;
    pages.unknown += unknownWritten(row);
    pages.unchanged += row.unchanged;
  }

  /** Of one VM, or null: of all that were recorded. `more`: what else a summary says. */
  end(vm: string | null, more: Row = {}): void {
    const { written, unchanged } = this.#pages;
    const bytes = (written + unchanged) * PAGE_BYTES;
    const of = { vm, ...(vm === null ? { vms: this.#vms.size } : {}), captures: this.#captures };
    const done = { ...of, ...this.#pages, bytes, ...more };
    this.#output.summary('record', done);
  }
}

export async function sayCost(ledger: Ledger, output: Output): Promise<void> {
  if (output.isJson) return;
  const { storedBytes, logBytes } = await ledger.storedBytes();
  output.say(`ledger: ${bytesText(storedBytes)} of pages, ${bytesText(logBytes)} of events`);
}
