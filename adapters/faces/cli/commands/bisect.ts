// `bisect`: the first capture from which on something is true of a guest's memory, told by a predicate or
// by a command that is run against each capture that is asked about.

import { spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import type { Command } from 'commander';
import { accepted } from '../../../../domain/ports/run.ts';
import { bisectStep, type Verdict } from '../../../../domain/use-cases/travel/bisect.ts';
import { firstFrom, seeAt } from '../../../../domain/use-cases/travel/changes.ts';
import { parsePredicate } from '../../../../domain/use-cases/travel/predicate.ts';
import { LedgerError } from '../../../../domain/values/ledger-error.ts';
import type { GuestPoint } from '../../../wiring/guest/guest.ts';
import type { CaptureRow, VmEntry } from '../../../../projections/models/vm-entry.ts';
import type { Ledger } from '../../../wiring/ledger/ledger.ts';
import { restoreToFile } from '../../../wiring/restore/restore.ts';
import { knownCoreKernel } from '../../../wiring/guest/core-kernel.ts';
import { DebuggedVm } from '../../../wiring/time-travel/debugged-vm.ts';
import { momentsBetween } from '../../../wiring/time-travel/moments.ts';
import { VmOverTime } from '../../../wiring/time-travel/vm-over-time.ts';
import { serveGdb, targetOf } from '../../gdb/server.ts';
import { isOfOurUser } from '../../sockets/peer-user.ts';
import { HeldFolder } from '../../../wiring/processes.ts';
import { UsageError } from '../failure.ts';
import { Interrupted } from '../../rows/failure-rows.ts';
import { untilSignal } from '../interruption.ts';
import { declareKernel, kernelChoiceOf } from '../guest-point.ts';
import type { Output } from '../output.ts';
import { warn, withLedger } from '../session.ts';

/** What a command that is run says by its exit code. */
const NOT_YET = 0;
const SKIPPED = 125;
const TRUE_MAX = 124;
/** Where a command finds its debugger's server: on any port of loopback, for as long as it runs. */
const SERVED_AT = { kind: 'tcp', host: '127.0.0.1', port: 0 } as const;

export const declare = (command: Command): Command =>
  declareKernel(
    command
      .requiredOption('--vm <name>', 'the VM')
      .option('--from <point>', 'between this capture (default: the oldest that is kept)')
      .option('--to <point>', 'and this one', 'latest')
      .option('--when <predicate>', 'as `u64 SYMBOL+8 >= 0x10 and not bytes ADDRESS == 00ff`')
      .option('--core', 'give the command an ELF core of each point: $PAGELEDGER_CORE')
      .option('--memory', 'give the command a raw image of each point: $PAGELEDGER_MEMORY')
      .argument(
        '[command...]',
        'after --: exits with 0 for not yet, 1 to 124 for true, 125 to skip',
      ),
  );

interface Options {
  readonly vm: string;
  readonly from?: string;
  readonly to: string;
  readonly when?: string;
  readonly core?: boolean;
  readonly memory?: boolean;
}

/** Asks at a point. */
type Ask = (point: GuestPoint) => Promise<Verdict>;

const verdictOf = (holds: boolean | null): Verdict =>
  holds === null ? 'skip' : holds ? 'true' : 'false';

/** Asks by a predicate on the kernel's memory. */
async function askPredicate(
  ledger: Ledger,
  of: { readonly point: GuestPoint; readonly text: string; readonly signal: AbortSignal },
): Promise<Ask> {
  const { point, text, signal } = of;
  const predicate = accepted(parsePredicate(text));
  const vm = await VmOverTime.open(ledger, point, 'if there');
  const space =
    vm.kernel === null ? ({ kind: 'physical' } as const) : ({ kind: 'kernel' } as const);
  vm.checkSymbols(predicate);
  const watched = vm.watchPredicate(predicate, space, signal);
  return async ({ row }) => {
    const { value } = await seeAt(watched, firstFrom(vm.past.moments, row.capture));
    return verdictOf(value);
  };
}

/** Runs a command; its exit code. What it prints goes to standard error. A signal ends it. */
async function exitCodeOf(
  words: readonly string[],
  of: { readonly environment: Readonly<Record<string, string>>; readonly signal: AbortSignal },
): Promise<number | NodeJS.Signals> {
  const child = spawn(words[0]!, words.slice(1), {
    stdio: ['ignore', process.stderr, process.stderr],
    env: { ...process.env, ...of.environment },
  });
  // It ends with us, however that is.
  const end = (): void => void child.kill();
  process.once('exit', end);
  of.signal.addEventListener('abort', end);
  try {
    return await new Promise((resolve, reject) => {
      child.once('error', ({ message }) =>
        reject(new UsageError(`${words[0]!} cannot be started: ${message}`)),
      );
      child.once('exit', (code, signal) => resolve(code ?? signal ?? 1));
    });
  } finally {
    process.off('exit', end);
    of.signal.removeEventListener('abort', end);
  }
}

function verdictOfExit(code: number | NodeJS.Signals, { row }: GuestPoint): Verdict {
  if (code === NOT_YET) return 'false';
  if (code === SKIPPED) return 'skip';
  if (typeof code === 'number' && code <= TRUE_MAX) return 'true';
  throw new LedgerError(
    'BISECT_STOPPED',
    `the command ended with ${code} at capture ${row.capture}: 0 (not yet), 1 to 124 (true) or 125 (cannot be told) was expected`,
    { capture: row.capture, code },
  );
}

/** Files of a point for a command that wants them, by the variables that name them. */
async function filesFor(
  command: Command,
  of: { readonly ledger: Ledger; readonly folder: string; readonly signal: AbortSignal },
  point: GuestPoint,
): Promise<Readonly<Record<string, string>>> {
  const { ledger, folder, signal } = of;
  const { core = false, memory = false } = command.opts<Options>();
  const files: Record<string, string> = {};
  const ways = { isForced: true, onProgress: () => signal.throwIfAborted() };
  if (core) {
    const path = (files['PAGELEDGER_CORE'] = join(folder, 'core'));
    const kernel = await knownCoreKernel(ledger, point);
    const known = kernel === null ? {} : { kernel };
    await restoreToFile(ledger, point, { format: 'elf', path, ...ways, ...known });
  }
  if (memory) {
    const path = (files['PAGELEDGER_MEMORY'] = join(folder, 'memory'));
    await restoreToFile(ledger, point, { format: 'raw', path, ...ways });
  }
  return files;
}

/** Asks by a command, which is given the point under a debugger's server, and as files where it wants these. */
function askCommand(
  command: Command,
  of: {
    readonly ledger: Ledger;
    readonly folder: string;
    readonly words: readonly string[];
    readonly signal: AbortSignal;
  },
): Ask {
  const { ledger, words, signal } = of;
  const admits = async (socket: Socket): Promise<boolean> => {
    const isOurs = await isOfOurUser(socket);
    if (!isOurs) warn(command, 'a client of another user was turned away');
    return isOurs;
  };
  return async (point) => {
    const files = await filesFor(command, of, point);
    const server = await serveGdb(SERVED_AT, {
      open: () => DebuggedVm.open(ledger, point),
      admits,
      onFailure: (message) => warn(command, message),
      onTurnedAway: () => warn(command, 'a client was turned away: there are too many'),
    });
    try {
      const environment = {
        ...files,
        PAGELEDGER_VM: point.entry.vm,
        PAGELEDGER_POINT: `${point.entry.vm}/@${point.row.capture}`,
        PAGELEDGER_GDB: targetOf(server.address),
      };
      signal.throwIfAborted();
      const code = await exitCodeOf(words, { environment, signal });
      signal.throwIfAborted();
      return verdictOfExit(code, point);
    } finally {
      await server.close();
    }
  };
}

export const run = (command: Command): Promise<void> =>
  withLedger(command, 'use', async (ledger, output) => {
    const { vm, from, to, when, core, memory } = command.opts<Options>();
    if ((when === undefined) === (command.args.length === 0))
      throw new UsageError('either --when or a command behind -- was expected');
    if (when !== undefined && (core === true || memory === true))
      throw new UsageError('--core and --memory are for a command');
    const entry = ledger.vm(vm);
    const rows = momentsBetween(ledger, entry, { from: from ?? null, to });
    const verdicts = new Map<number, Verdict>();
    const { signal } = await untilSignal(async (abort) => {
      try {
        await search(command, { ledger, output, entry, rows, verdicts, signal: abort });
      } catch (thrown) {
        if (!abort.aborted) throw thrown;
      }
    });
    if (signal !== null && bisectStep({ count: rows.length, verdicts })._tag === 'ask')
      throw new Interrupted(signal, `interrupted by ${signal}: ${soFar(rows, verdicts)}`);
  });

/** Asks until it is known which capture is the first, and says so. */
async function search(
  command: Command,
  of: {
    readonly ledger: Ledger;
    readonly output: Output;
    readonly entry: VmEntry;
    readonly rows: readonly CaptureRow[];
    /** What was answered, by the place of a row. */
    readonly verdicts: Map<number, Verdict>;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const { ledger, output, entry, rows, verdicts, signal } = of;
  const { vm } = entry;
  const { when } = command.opts<Options>();
  const choice = kernelChoiceOf(command);
  const own = new HeldFolder();
  try {
    const last = { entry, row: rows.at(-1)!, ...choice };
    const ask =
      when === undefined
        ? askCommand(command, { ledger, folder: own.path, words: command.args, signal })
        : await askPredicate(ledger, { point: last, text: when, signal });
    for (;;) {
      const step = bisectStep({ count: rows.length, verdicts });
      if (step._tag !== 'ask') {
        const among = step._tag === 'found' ? step.among.map((at) => rows[at]!.capture) : [];
        tellFound(output, { vm, among, result: step._tag });
        return;
      }
      // What is known already is told all the same.
      signal.throwIfAborted();
      const row = rows[step.moment]!;
      const result = await ask({ entry, row, ...choice });
      verdicts.set(step.moment, result);
      if (output.isJson) output.json({ vm, capture: row.capture, result });
      else output.print(`@${row.capture}: ${SAID[result]}`);
    }
  } finally {
    own.remove();
  }
}

function tellFound(
  output: Output,
  of: {
    readonly vm: string;
    readonly among: readonly number[];
    readonly result: keyof typeof NOWHERE;
  },
): void {
  const { vm, among, result } = of;
  const [first = null] = among;
  if (!output.isJson) {
    output.print(first === null ? NOWHERE[result] : answerText(among));
    return;
  }
  const capture = among.at(-1) ?? null;
  const told = among.length > 1 ? { among } : {};
  output.json({ vm, capture, result: first === null ? result : 'first', ...told });
}

/** What is known of a search that was interrupted. */
function soFar(rows: readonly CaptureRow[], verdicts: ReadonlyMap<number, Verdict>): string {
  const those = (wanted: Verdict): readonly number[] =>
    [...verdicts].filter(([, verdict]) => verdict === wanted).map(([moment]) => moment);
  const [high, low] = [Math.min(...those('true')), Math.max(...those('false'))];
  const at = (moment: number): string => `@${rows[moment]!.capture}`;
  if (high === Infinity && low === -Infinity) return 'it is told at no capture yet';
  const behind = low === -Infinity ? '' : `, and not yet at ${at(low)}`;
  return high === Infinity ? `not yet at ${at(low)}` : `it is true at ${at(high)}${behind}`;
}

const SAID: Readonly<Record<Verdict, string>> = {
  true: 'true',
  false: 'not yet',
  skip: 'cannot be told',
};

const NOWHERE = {
  found: '',
  never: 'it is true at no capture that was asked about',
  untold: 'it could be told at no capture',
} as const;

function answerText(among: readonly number[]): string {
  if (among.length === 1) return `@${among[0]!} is the first at which it is true`;
  return `it became true at one of @${among.join(', @')}: what is between cannot be told`;
}
