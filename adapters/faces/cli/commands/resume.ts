// `resume`: starts a guest from a point.

import type { ChildProcess } from 'node:child_process';
import type { Command } from 'commander';
import { commandWordOf } from '../../../wiring/record/attachments.ts';
import type { Ledger } from '../../../wiring/ledger/ledger.ts';
import { resumableCommand, resumePoint } from '../../../wiring/restore/restore.ts';
import type { VmPoint } from '../../../wiring/ledger/vm-point.ts';
import { pointOfGuest, recoverGuest, resumeLazily } from '../../../wiring/restore/resume.ts';
import { isIncomplete, LEFT_OUT } from '../../../../domain/values/command-line.ts';
import { escapedLines } from '../../rows/escaped-text.ts';
import { awaitArrival, recoveringLine } from '../arriving.ts';
import { positiveNumber, wholeNumber } from '../argument-values.ts';
import { UsageError } from '../failure.ts';
import { tellOfInterruption } from '../interruption.ts';
import { COLD_BELOW, sayJudged, withheldOf, type SamplingOptions } from '../sampled-regions.ts';
import { quoted } from '../shell-word.ts';
import type { Output } from '../output.ts';
import { outputOf, tell, withLedger } from '../session.ts';
import { waitingTold } from '../waiting.ts';

export const declare = (command: Command): Command =>
  command
    .argument('[command...]', "after --: QEMU's command line")
    .option('--vm <name>', 'the VM')
    .option('--at <point>', 'the point (default: latest)')
    .option('--eager', 'send all memory before the guest runs')
    .option('--on-demand-only', 'give the guest what it asks for alone, until Ctrl-C')
    .option(
      '--recover <socket>',
      "go on with a guest whose `resume` was killed, by its QEMU's socket",
    )
    .option('--from <address>', 'with --recover: the memory server that the guest is a clone of')
    .option('--key <file>', "of --from: the group's key, as `group export` wrote it")
    .option(
      '--sample <n>',
      'look at so many regions of 2 MiB for a while, page by page',
      positiveNumber,
    )
    .option(
      '--trace',
      'give each page alone for a while, and the next guest first what this one asked for',
    )
    .option('--interval <duration>', 'with --sample or --trace: for how long (default: 10s)')
    .option(
      '--threshold <n>',
      `with --sample: cold is of what fewer pages were asked for (default: ${COLD_BELOW})`,
      wholeNumber,
    )
    .option('--as-recorded', 'run the recorded command line, which was shown without this')
    .option('--disk-ok', 'the disks are as they were at that moment');

/** The recorded command line without what belongs to the guest that may still run. */
function recordedCommand({ entry, row }: VmPoint): readonly string[] {
  const argv = entry.argvAt(row.capture);
  if (argv === null)
    throw new UsageError(
      `no command line is recorded with ${entry.vm}@${row.capture}; give one: pageledger resume --vm ${entry.vm} --at POINT -- qemu-system-x86_64 ARGS...`,
    );
  return resumableCommand(argv);
}

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

interface ResumeOptions extends SamplingOptions {
  readonly vm?: string;
  readonly at?: string;
  readonly eager?: boolean;
  readonly onDemandOnly?: boolean;
  readonly recover?: string;
  readonly from?: string;
  readonly key?: string;
  readonly diskOk?: boolean;
  readonly asRecorded?: boolean;
}

/** The options, once they go together. */
function checkedOptions(command: Command): ResumeOptions {
  const options = command.opts<ResumeOptions>();
  const { vm, at, eager, onDemandOnly, recover, diskOk, asRecorded } = options;
  if (eager === true && onDemandOnly === true)
    throw new UsageError('--eager sends all memory, --on-demand-only what is asked for: say one');
  if (options.sample !== undefined && (eager === true || onDemandOnly === true))
    throw new UsageError('--sample sends all else ahead: leave --eager and --on-demand-only out');
  const others = options.sample ?? eager ?? onDemandOnly;
  if (options.trace === true && others !== undefined)
    throw new UsageError(
      '--trace withholds all pages for a while: leave --sample, --eager and --on-demand-only out',
    );
  if (recover === undefined && (options.from ?? options.key) !== undefined)
    throw new UsageError('--from and --key go with --recover: `clone --from` starts clones');
  if (recover === undefined) return options;
  const news = [vm, at, eager, diskOk, asRecorded, options.sample, options.trace];
  if (news.some((option) => option !== undefined) || command.args.length > 0)
    throw new UsageError('--recover goes on with a guest that is there: it takes its socket alone');
  return options;
}

/** Goes on with a guest whose giver of memory has ended. */
async function goOn(command: Command, options: ResumeOptions): Promise<void> {
  const { recover: qmpPath = '', onDemandOnly = false } = options;
  if (options.from !== undefined || options.key !== undefined) {
    // What asks a memory server is not loaded by who resumes a point of a ledger.
    const { recoverFar } = await import('../arriving-clones.ts');
    const guest = { qmpPath, isOnDemandOnly: onDemandOnly };
    return recoverFar(command, outputOf(command), guest);
  }
  await withLedger(command, 'use', async (ledger, output) => {
    const point = pointOfGuest(ledger, qmpPath);
    const memory = await recoverGuest(ledger, point, {
      qmpPath,
      isOnDemandOnly: onDemandOnly,
      waiting: waitingTold(command),
    });
    const { vm } = point.entry;
    const { capture } = point.row;
    const label = `${vm}@${capture}`;
    const row = { vm, capture, state: memory.runState, qmp: qmpPath };
    if (output.isJson) output.json({ ...row, recovered: true });
    else tell(command, `${label} is ${memory.runState} again; its memory goes on arriving`);
    await awaitArrival(command, output, { memory, label, row });
  });
}

/** A guest that runs in front until it ends; an interruption ends it. */
const untilExit = (guest: ChildProcess): Promise<void> =>
  new Promise((resolve) => {
    const end = (): void => {
      guest.kill();
    };
    process.once('SIGINT', end);
    process.once('SIGTERM', end);
    guest.once('exit', () => resolve());
    if (guest.exitCode !== null || guest.signalCode !== null) resolve();
  });

/** Whether QEMU uses the terminal: a console or a monitor on standard input and output. */
const usesTerminal = (words: readonly string[]): boolean =>
  words.some((word) => /^-?-nographic$|\bstdio\b/u.test(word));

const requestOf = (
  command: readonly string[],
  { diskOk = false }: ResumeOptions,
  { isJson }: Output,
) => ({
  command,
  isDiskOk: diskOk,
  // A console on standard output is the guest's word to a person, never JSON.
  stdio: isJson ? ('ignore' as const) : ('inherit' as const),
  onStderr: (text: string) => process.stderr.write(`${escapedLines(text.trimEnd())}\n`),
});

export async function run(command: Command): Promise<void> {
  const options = checkedOptions(command);
  if (options.recover !== undefined) return goOn(command, options);
  const { vm, at = 'latest' } = options;
  if (vm === undefined) throw new UsageError('--vm NAME was expected');
  const withheld = withheldOf(options);
  await withLedger(command, 'use', async (ledger, output) => {
    const entry = ledger.vm(vm);
    const row = ledger.resolve(entry, at);
    const point = { entry, row };
    const label = `${vm}@${row.capture}`;
    tellOfInterruption(
      () => `no guest runs of ${label}, and nothing of what is recorded was changed`,
    );
    // Before all else: which disk goes with the memory is what the command line is made of.
    const atCapture = await wordOf(command, ledger, point);
    const qemu = commandOf(point, command.args, options.asRecorded ?? false);
    const request = requestOf(qemu, options, output);
    const guest =
      options.eager === true
        ? { _tag: 'eager' as const, reason: null, ...(await resumePoint(ledger, point, request)) }
        : await resumeLazily(ledger, point, {
            ...request,
            isOnDemandOnly: options.onDemandOnly ?? false,
            waiting: waitingTold(command),
            ...withheld,
          });
    const { pid } = guest.process;
    const told = { vm, capture: row.capture, pid: pid ?? null, state: guest.runState };
    const isLazy = guest._tag === 'arriving';
    if (output.isJson)
      output.json({
        ...told,
        startMs: guest.startMs,
        atCapture,
        lazy: isLazy,
        qmp: isLazy ? guest.qmpPath : null,
      });
    const after = `${label} is ${guest.runState} after ${guest.startMs.toFixed(0)} ms (process ${pid ?? '?'})`;
    if (!isLazy) {
      if (guest.reason !== null)
        tell(
          command,
          `all memory was sent before the guest ran: QEMU cannot catch its accesses here (${guest.reason}); root, CAP_SYS_PTRACE or vm.unprivileged_userfaultfd=1 lets it`,
        );
      if (!output.isJson) tell(command, `${after}; Ctrl-C ends it`);
      return untilExit(guest.process);
    }
    if (!output.isJson)
      tell(
        command,
        `${after}, while its memory arrives. Should this process be killed: ${recoveringLine(command, guest.qmpPath)}`,
      );
    try {
      const of = { memory: guest, vm, capture: row.capture };
      const isSampled = withheld.sampling !== undefined;
      const judged = isSampled ? sayJudged(command, output, of) : Promise.resolve();
      // What is wrong with it is told when the guest has its memory.
      judged.catch(() => undefined);
      await awaitArrival(command, output, { memory: guest, label, row: told });
      await judged;
      if (!output.isJson && usesTerminal(qemu)) await untilExit(guest.process);
    } finally {
      // It goes on without this process.
      guest.process.unref();
      guest.process.stderr?.destroy();
    }
  });
}
