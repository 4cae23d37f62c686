// `resume`: starts a guest from a point.

import type { Command } from 'commander';
import { commandWordOf } from '../../../wiring/attachments.ts';
import type { Ledger } from '../../../wiring/ledger.ts';
import { resumableCommand, resumePoint, type VmPoint } from '../../../wiring/restore.ts';
import { isIncomplete, LEFT_OUT } from '../../../../domain/values/command-line.ts';
import { escapedLines } from '../../rows/escaped-text.ts';
import { UsageError } from '../failure.ts';
import { tell, withLedger } from '../session.ts';

export const declare = (command: Command): Command =>
  command
    .argument('[command...]', "after --: QEMU's command line")
    .requiredOption('--vm <name>', 'the VM')
    .requiredOption('--at <point>', 'the point')
    .option('--eager', 'send all memory before the guest runs')
    .option('--as-recorded', 'run the recorded command line, which was shown without this')
    .option('--disk-ok', 'the disks are as they were at that moment');

/** The recorded command line without what belongs to the guest that may still run. */
function recordedCommand({ entry, row }: VmPoint): readonly string[] {
  const argv = entry.argvAt(row.capture);
  if (argv === null)
    throw new UsageError(
      `no command line is recorded with ${entry.vm}@${row.capture}; give one: pageledger resume --vm ${entry.vm} --at POINT --eager -- qemu-system-x86_64 ARGS...`,
    );
  return resumableCommand(argv);
}

/** A word as a shell takes it. */
const quoted = (word: string): string =>
  /^[A-Za-z0-9_@%+=:,./-]+$/u.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;

/** What is run: the words given, or the recorded ones where that was said. A ledger may be anybody's. */
function commandOf(
  point: VmPoint,
  words: readonly string[],
  isAsRecorded: boolean,
): readonly string[] {
  if (words.length > 0) {
    if (isAsRecorded) throw new UsageError('--as-recorded takes no command line after --');
    return words;
  }
  const { vm } = point.entry;
  const recorded = recordedCommand(point);
  const shown = recorded.map(quoted).join(' ');
  if (isIncomplete(recorded))
    throw new UsageError(
      `the recorded command line of VM ${vm} lacks what was secret in it (${LEFT_OUT}): give a whole one after --\n${shown}`,
    );
  if (isAsRecorded) return recorded;
  throw new UsageError(
    `no command line was given; say --as-recorded to run what this ledger has of VM ${vm}, with your rights, or give another after --\n${shown}`,
  );
}

/** What a command said that ran while the guest stood still: the disk of that moment, perhaps. */
async function wordOf(command: Command, ledger: Ledger, point: VmPoint): Promise<object | null> {
  const word = await commandWordOf(ledger, point);
  if (word === null) return null;
  const { end } = word;
  const output = Buffer.from(word.output).toString('utf8');
  tell(command, `at this capture a command ran (${end.replace('-', ' ')}) and printed:`);
  tell(command, escapedLines(output.trimEnd()));
  return { end, output };
}

export async function run(command: Command): Promise<void> {
  const { vm, at, eager, diskOk, asRecorded } = command.opts<{
    vm: string;
    at: string;
    eager?: boolean;
    diskOk?: boolean;
    asRecorded?: boolean;
  }>();
  if (eager !== true)
    throw new UsageError(
      'lazy resuming is not there yet: say --eager, which sends all memory before the guest runs',
    );
  const words = command.args;
  await withLedger(command, 'read', async (ledger, output) => {
    const entry = ledger.vm(vm);
    const row = ledger.resolve(entry, at);
    // Before all else: which disk goes with the memory is what the command line is made of.
    const atCapture = await wordOf(command, ledger, { entry, row });
    const qemu = commandOf({ entry, row }, words, asRecorded ?? false);
    const guest = await resumePoint(
      ledger,
      { entry, row },
      {
        command: qemu,
        isDiskOk: diskOk ?? false,
        // A console on standard output is the guest's word to a person, never JSON.
        stdio: output.isJson ? 'ignore' : 'inherit',
        onStderr: (text) => process.stderr.write(`${escapedLines(text.trimEnd())}\n`),
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
        atCapture,
      });
    else
      tell(
        command,
        `${vm}@${row.capture} is ${guest.runState} after ${guest.startMs.toFixed(0)} ms (process ${pid ?? '?'}); Ctrl-C ends it`,
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
