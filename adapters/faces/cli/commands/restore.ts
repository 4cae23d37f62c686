// `restore`: memory at a point into a file.

import type { Command } from 'commander';
import { PAGE_BYTES } from '../../../../domain/values/page.ts';
import { restoreToFile, restoreToStream, type RestoreFormat } from '../../../wiring/restore.ts';
import { UsageError } from '../failure.ts';
import { interruptible } from '../interruption.ts';
import { bytesText } from '../output.ts';
import { progressOf, withLedger } from '../session.ts';

const FORMATS: readonly string[] = ['raw', 'qemu'];

const isFormat = (format: string): format is RestoreFormat => FORMATS.includes(format);

export const declare = (command: Command): Command =>
  command
    .requiredOption('--vm <name>', 'the VM')
    .option('--at <point>', 'the point', 'latest')
    .requiredOption('--to <file>', 'the file; - is standard output')
    .option('--format <format>', 'raw or qemu', 'raw')
    .option('--force', 'replace an existing file');

export async function run(command: Command): Promise<void> {
  const { vm, at, to, format, force } = command.opts<{
    vm: string;
    at: string;
    to: string;
    format: string;
    force?: boolean;
  }>();
  if (!isFormat(format))
    throw new UsageError(
      `the format ${JSON.stringify(format)} is not known: raw or qemu was expected`,
    );
  await withLedger(command, 'read', async (ledger, output) => {
    const entry = ledger.vm(vm);
    const row = ledger.resolve(entry, at);
    const progress = progressOf(command, 'restoring');
    const started = performance.now();
    const told = (): string =>
      to === '-' ? 'what was written is not whole' : `nothing was written to ${to}`;
    await interruptible(told, (step) => {
      const onProgress = ({ pages, pageCount }: { pages: number; pageCount: number }): void => {
        step();
        progress.bytes(pages * PAGE_BYTES, pageCount * PAGE_BYTES);
      };
      const point = { entry, row };
      const target = { format, onProgress };
      return to === '-'
        ? restoreToStream(ledger, point, { ...target, writable: process.stdout })
        : restoreToFile(ledger, point, { ...target, path: to, isForced: force ?? false });
    }).finally(() => progress.clear());
    if (to === '-') return;
    const { registered } = entry.state;
    const seconds = ((performance.now() - started) / 1000).toFixed(2);
    const bytes = (registered?.memoryMap.blocks[0]?.pages ?? 0) * PAGE_BYTES;
    output.summary('restore', {
      vm,
      capture: row.capture,
      to,
      format,
      pages: bytes / PAGE_BYTES,
      bytes,
    });
    output.say(`${vm}@${row.capture} restored to ${to}: ${bytesText(bytes)} in ${seconds} s`);
  });
}
