// `restore` and `resume`.

import { tmpdir } from 'node:os';
import type { Command } from 'commander';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import {
  resumePoint,
  restoreToFile,
  restoreToStream,
  type RestoreFormat,
} from '../../wiring/restore.ts';
import { type VmEntry } from '../../../projections/models/catalogue.ts';
import { UsageError } from './failure.ts';
import { bytesText } from './output.ts';
import { progressOf, withLedger } from './session.ts';

const FORMATS: readonly string[] = ['raw', 'qemu'];

const isFormat = (format: string): format is RestoreFormat => FORMATS.includes(format);

export async function restore(command: Command): Promise<void> {
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
    const progress = progressOf('restoring');
    const onProgress = ({ pages, pageCount }: { pages: number; pageCount: number }): void =>
      progress.bytes(pages * PAGE_BYTES, pageCount * PAGE_BYTES);
    const started = performance.now();
    const target = { format, onProgress };
    try {
      if (to === '-')
        await restoreToStream(
          ledger,
          { entry, row },
          { ...target, writable: process.stdout, folder: tmpdir() },
        );
      else
        await restoreToFile(
          ledger,
          { entry, row },
          { ...target, path: to, isForced: force ?? false },
        );
    } finally {
      progress.clear();
    }
    if (to === '-') return;
    const { registered } = entry.state;
    const seconds = ((performance.now() - started) / 1000).toFixed(2);
    const bytes = (registered?.memoryMap.blocks[0]?.pages ?? 0) * PAGE_BYTES;
    if (output.isJson) output.json({ vm, capture: row.capture, to, format });
    else output.say(`${vm}@${row.capture} restored to ${to}: ${bytesText(bytes)} in ${seconds} s`);
  });
}

/** Options of a recorded command line that would collide with the guest it is from. */
const COLLIDING = new Set([
  '-qmp',
  '-monitor',
  '-serial',
  '-pidfile',
  '-chardev',
  '-mon',
  '-gdb',
  '-vnc',
  '-incoming',
]);

/** The recorded command line without what belongs to the guest that may still run. */
function recordedCommand(entry: VmEntry): string[] {
  const { argv } = entry.state;
  if (argv === null)
    throw new UsageError(
      `no command line is recorded with VM ${entry.vm}; give one: pageledger resume --vm ${entry.vm} --at POINT --eager -- qemu-system-x86_64 ARGS...`,
    );
  const kept: string[] = [];
  for (let i = 0; i < argv.length; i += 1) {
    if (COLLIDING.has(argv[i]!.replace(/^--/u, '-'))) i += 1;
    else kept.push(argv[i]!);
  }
  return [...kept, '-serial', 'stdio', '-monitor', 'none'];
}

export async function resume(words: readonly string[], command: Command): Promise<void> {
  const { vm, at, eager, diskOk } = command.opts<{
    vm: string;
    at: string;
    eager?: boolean;
    diskOk?: boolean;
  }>();
  if (eager !== true)
    throw new UsageError(
      'lazy resuming is not there yet: say --eager, which sends all memory before the guest runs',
    );
  await withLedger(command, 'read', async (ledger, output) => {
    const entry = ledger.vm(vm);
    const row = ledger.resolve(entry, at);
    const qemu = words.length > 0 ? words : recordedCommand(entry);
    const guest = await resumePoint(
      ledger,
      { entry, row },
      {
        command: qemu,
        isDiskOk: diskOk ?? false,
        folder: tmpdir(),
        // A console on standard output is the guest's word to a person, never JSON.
        stdio: output.isJson ? 'ignore' : 'inherit',
        onStderr: (text) => process.stderr.write(text),
      },
    );
    const { pid } = guest.process;
    if (output.isJson)
      output.json({
        vm,
        capture: row.capture,
        pid: pid ?? null,
        state: guest.runState,
        startMs: guest.startMs,
      });
    else
      process.stderr.write(
        `pageledger: ${vm}@${row.capture} is ${guest.runState} after ${guest.startMs.toFixed(0)} ms (process ${pid ?? '?'}); Ctrl-C ends it\n`,
      );
    await new Promise<void>((resolve) => {
      const end = (): void => {
        guest.process.kill();
      };
      process.once('SIGINT', end);
      process.once('SIGTERM', end);
      guest.process.once('exit', () => resolve());
      if (guest.process.exitCode !== null) resolve();
    });
  });
}
