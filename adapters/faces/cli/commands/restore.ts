// `restore`: memory at a point into a file.

import { Option, type Command } from 'commander';
import { kindOfBlock, pageCountOf, type MemoryMap } from '../../../../domain/values/memory-map.ts';
import { PAGE_BYTES } from '../../../../domain/values/page.ts';
import { isAtAddresses, type RawLayoutName } from '../../../../domain/values/raw-layout.ts';
import {
  coreLayout,
  layoutOf,
  restoreToFile,
  restoreToStream,
  type RestoreFormat,
} from '../../../wiring/restore/restore.ts';
import type { VmPoint } from '../../../wiring/ledger/vm-point.ts';
import { crashWords, knownCoreKernel } from '../../../wiring/guest/core-kernel.ts';
import { readyAttachments } from '../../../wiring/record/attachments.ts';
import type { Ledger } from '../../../wiring/ledger/ledger.ts';
import type { GuestKernel } from '../../../../domain/ports/guests.ts';
import type { CaptureRow } from '../../../../projections/models/vm-entry.ts';
import { memoryMapOf } from '../../../../projections/models/page-tables.ts';
import { layoutNamed } from '../argument-values.ts';
import { EXIT_DAMAGE, UsageError } from '../failure.ts';
import { declareKernel, kernelChoiceWith } from '../guest-point.ts';
import { interruptible } from '../interruption.ts';
import { bytesText, type Output } from '../output.ts';
import { unknownOption } from '../unknown-option.ts';
import { progressOf, warn, withLedger } from '../session.ts';
import { quoted } from '../shell-word.ts';

/** Blocks that a sentence names. */
const NAMED_MAX = 6;

const FORMATS: readonly string[] = ['raw', 'elf', 'lime', 'qemu'];

const isFormat = (format: string): format is RestoreFormat => FORMATS.includes(format);

function formatNamed(format: string): RestoreFormat {
  if (isFormat(format)) return format;
  throw new UsageError(
    `the format ${JSON.stringify(format)} is not known: raw, elf, lime or qemu was expected`,
  );
}

const OF_CORES = '--format elf';

export const declare = (command: Command): Command =>
  declareKernel(
    command
      .requiredOption('--vm <name>', 'the VM')
      .option('--at <point>', 'the point', 'latest')
      .requiredOption('--to <file>', 'the file; - is standard output')
      .option(
        '--format <format>',
        'raw, elf (a core for debuggers of kernels), lime (for forensics) or qemu',
        'raw',
      )
      .option(
        '--layout <layout>',
        'of a raw image: physical (RAM at its guest-physical addresses) or packed (default: as tools expect it)',
      )
      .option(
        '--without-block <name...>',
        'leave a block of memory out of a QEMU stream, for a guest that maps it from a file',
      )
      .option('--with <folder>', 'give back what was kept beside the capture into this folder too')
      .option('--force', 'replace an existing file')
      .addOption(
        new Option('--damaged <how>', 'what becomes of pages that are lost').choices(['zero']),
      )
      .addOption(unknownOption()),
    OF_CORES,
  );

/** Stretches of pages of the file: the first of each, and how many. */
function stretchesOf(pages: readonly number[]): { page: number; pages: number }[] {
  const stretches: { page: number; pages: number }[] = [];
  for (const page of pages) {
    const last = stretches.at(-1);
    if (last !== undefined && last.page + last.pages === page) last.pages += 1;
    else stretches.push({ page, pages: 1 });
  }
  return stretches;
}

/** Whether a file has RAM by its addresses, and says where. */
const hasHeads = (format: RestoreFormat): boolean => format === 'elf' || format === 'lime';

const lostText = (
  { page, pages }: { page: number; pages: number },
  format: RestoreFormat,
): string =>
  `lost, and zeros now: pages ${page} to ${page + pages - 1} of the ${hasHeads(format) ? 'memory in the file' : 'file'}`;

/** The layout that was asked for; null: as tools expect it. */
function layoutAsked(layout: string | undefined, format: string): RawLayoutName | null {
  if (layout === undefined) return null;
  const named = layoutNamed(layout);
  if (format === 'raw') return named;
  throw new UsageError(`--layout is of raw images, and ${format} was asked for`);
}

const NO_REGISTERS = '; without registers of CPUs, as the capture has no device state';
const NO_KERNEL =
  '; without what a kernel says of itself, as none can be found in it (`pageledger symbols` says why)';

/** What of a core a debugger will miss. */
const missingText = (row: CaptureRow, kernel: GuestKernel | null): string =>
  (row.hasDevice ? '' : NO_REGISTERS) + (kernel === null ? NO_KERNEL : '');

/** What a core tells of its kernel; null: nothing can be told, or no core is made. */
async function kernelFor(
  command: Command,
  ledger: Ledger,
  point: VmPoint,
): Promise<GuestKernel | null> {
  const isAsked = command.opts<RestoreOptions>().format === 'elf';
  const choice = kernelChoiceWith(command, { isAsked, goesWith: OF_CORES });
  return isAsked ? knownCoreKernel(ledger, { ...point, ...choice }) : null;
}

/** How a file holds RAM, where it has nothing else. */
interface RamLayout {
  /** Of a raw image; null: it is none. */
  readonly name: RawLayoutName | null;
  readonly pages: number;
  readonly leftOut: readonly string[];
}

/** The layout of a point in a file of a format; null: it has the whole guest. */
function ramLayoutOf(
  point: VmPoint,
  format: RestoreFormat,
  asked: RawLayoutName | null,
): RamLayout | null {
  if (format === 'raw') return layoutOf(point, asked);
  return hasHeads(format) ? { ...coreLayout(point), name: null } : null;
}

/** Says how crash opens a file, to a person who sees it, where it does. */
async function sayCrashCommand(
  ledger: Ledger,
  point: VmPoint,
  { format, layout, to, output }: RawFile,
): Promise<void> {
  if (format !== 'raw' || output.isJson || !process.stdout.isTTY) return;
  if (!isAtAddresses(layoutOf(point, layout), memoryMapOf(point))) return;
  const words = await crashWords(ledger, { ...point, kernel: null });
  if (words === null) return;
  const crash = ['crash', ...words, 'vmlinux', `${quoted(to)}@0`].join(' ');
  output.command(`its Linux kernel is opened by: ${crash}`);
}

interface RawFile {
  readonly format: RestoreFormat;
  readonly layout: RawLayoutName | null;
  readonly to: string;
  readonly output: Output;
}

/** What a person should know of a file of RAM: nobody misses the firmware's ROM in one. */
function layoutText({ name, leftOut }: RamLayout, { blocks }: MemoryMap): string {
  const at = name === 'physical' ? ', RAM at its guest-physical addresses' : '';
  const isRom = (left: string): boolean =>
    blocks.some((block) => block.name === left && kindOfBlock(block) === 'rom');
  const missed = leftOut.filter((left) => !isRom(left));
  const named = missed.slice(0, NAMED_MAX).join(', ') + (missed.length > NAMED_MAX ? ', ...' : '');
  return missed.length === 0 ? at : `${at}; without ${named} (--format qemu has all)`;
}

/**
 * Restores memory, and gives back what was kept beside it: written before, named after it. Gives the
 * paths.
 */
async function restoreBeside(
  of: { readonly ledger: Ledger; readonly point: VmPoint; readonly options: RestoreOptions },
  restoreMemory: () => Promise<void>,
): Promise<readonly string[]> {
  const { ledger, point, options } = of;
  const { with: folder, force: isForced = false } = options;
  if (folder === undefined) {
    await restoreMemory();
    return [];
  }
  const ready = await readyAttachments(ledger, point, { folder, isForced });
  try {
    await restoreMemory();
    await ready.place();
  } catch (thrown) {
    await ready.discard();
    throw thrown;
  }
  return ready.paths;
}

/** Blocks to leave out. */
function leftOutOf({ withoutBlock = [], format }: RestoreOptions): readonly string[] {
  if (withoutBlock.length === 0 || format === 'qemu') return withoutBlock;
  throw new UsageError(`--without-block is of QEMU streams, and ${format} was asked for`);
}

interface RestoreOptions {
  readonly vm: string;
  readonly at: string;
  readonly to: string;
  readonly format: string;
  readonly layout?: string;
  readonly force?: boolean;
  readonly damaged?: string;
  readonly unknown?: 'zero';
  readonly with?: string;
  readonly withoutBlock?: readonly string[];
}

/** Tells which pages are zeros now that were not. */
function tellZeros(
  command: Command,
  output: Output,
  of: {
    readonly vm: string;
    readonly capture: number;
    readonly format: RestoreFormat;
    readonly lost: readonly number[];
    readonly unknownPages: number;
  },
): void {
  const { vm, capture, format, lost, unknownPages } = of;
  if (lost.length > 0) process.exitCode = EXIT_DAMAGE;
  const isRow = output.isJson && command.opts<RestoreOptions>().to !== '-';
  for (const stretch of stretchesOf(lost))
    if (isRow) output.json({ vm, capture, ...stretch });
    else warn(command, lostText(stretch, format));
  if (unknownPages > 0)
    warn(command, `what ${unknownPages} pages held is unknown: they are zeros now`);
}

export async function run(command: Command): Promise<void> {
  const options = command.opts<RestoreOptions>();
  const { vm, at, to, layout, force, damaged, unknown } = options;
  const format = formatNamed(options.format);
  const asked = layoutAsked(layout, format);
  const without = leftOutOf(options);
  await withLedger(command, 'use', async (ledger, output) => {
    const entry = ledger.vm(vm);
    const row = ledger.resolve(entry, at);
    const point = { entry, row };
    const laid = ramLayoutOf(point, format, asked);
    const kernel = await kernelFor(command, ledger, point);
    const progress = progressOf(command, 'restoring');
    const started = performance.now();
    const lost: number[] = [];
    let unknownPages = 0;
    const told = (): string =>
      to === '-' ? 'what was written is not whole' : `nothing was written to ${to}`;
    const paths = await interruptible(told, (step) => {
      const onProgress = ({ pages, pageCount }: { pages: number; pageCount: number }): void => {
        step();
        progress.bytes(pages * PAGE_BYTES, pageCount * PAGE_BYTES);
      };
      const onLost = (pages: Uint32Array): void => {
        for (const page of pages) lost.push(page);
      };
      const target = {
        format,
        layout: asked,
        without,
        onProgress,
        ...(kernel === null ? {} : { kernel }),
        ...(damaged === undefined ? {} : { onLost }),
        areUnknownZeros: unknown !== undefined,
        onUnknown: (count: number) => void (unknownPages = count),
      };
      return restoreBeside({ ledger, point, options }, () =>
        to === '-'
          ? restoreToStream(ledger, point, { ...target, writable: process.stdout })
          : restoreToFile(ledger, point, { ...target, path: to, isForced: force ?? false }),
      );
    }).finally(() => progress.clear());
    tellZeros(command, output, { vm, capture: row.capture, format, lost, unknownPages });
    if (options.with !== undefined && paths.length === 0)
      warn(command, `nothing was kept beside ${vm}@${row.capture}`);
    if (to === '-') return;
    const seconds = ((performance.now() - started) / 1000).toFixed(2);
    const pages = laid?.pages ?? pageCountOf(memoryMapOf(point));
    const bytes = pages * PAGE_BYTES;
    output.summary('restore', {
      vm,
      capture: row.capture,
      to,
      format,
      layout: laid?.name ?? null,
      leftOut: laid?.leftOut ?? without,
      kernel: kernel?.release ?? null,
      pages,
      lost: lost.length,
      unknown: unknownPages,
      bytes,
      attachments: paths,
    });
    const missing = format === 'elf' ? missingText(row, kernel) : '';
    const how = laid === null ? '' : layoutText(laid, memoryMapOf(point)) + missing;
    output.say(`${vm}@${row.capture} restored to ${to}: ${bytesText(bytes)} in ${seconds} s${how}`);
    await sayCrashCommand(ledger, point, { format, layout: asked, to, output });
    if (paths.length > 0) output.say(`kept beside it: ${paths.join(', ')}`);
  });
}
