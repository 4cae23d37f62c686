// `bisect`: the first capture from which on something is true of a guest's memory, told by a predicate or
// by a command that is run against each capture that is asked about.

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import type { Command } from 'commander';
import { accepted } from '../../../../domain/ports/run.ts';
import { bisectStep, type Verdict } from '../../../../domain/use-cases/travel/bisect.ts';
import { firstFrom, seeAt } from '../../../../domain/use-cases/travel/changes.ts';
import { parsePredicate } from '../../../../domain/use-cases/travel/predicate.ts';
import { LedgerError } from '../../../../domain/values/ledger-error.ts';
import type { GuestPoint } from '../../../wiring/guest/guest.ts';
import type { Ledger } from '../../../wiring/ledger/ledger.ts';
import { restoreToFile } from '../../../wiring/restore/restore.ts';
import { knownCoreKernel } from '../../../wiring/guest/core-kernel.ts';
import { DebuggedVm } from '../../../wiring/time-travel/debugged-vm.ts';
import { momentsBetween } from '../../../wiring/time-travel/moments.ts';
import { VmOverTime } from '../../../wiring/time-travel/vm-over-time.ts';
import { GDB_SOCKET, serveGdb, targetOf } from '../../gdb/server.ts';
import { HeldFolder } from '../../../wiring/processes.ts';
import { UsageError } from '../failure.ts';
import { declareKernel, kernelChoiceOf } from '../guest-point.ts';
import { warn, withLedger } from '../session.ts';

/** What a command that is run says by its exit code. */
const NOT_YET = 0;
const SKIPPED = 125;
const TRUE_MAX = 124;

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
async function askPredicate(ledger: Ledger, point: GuestPoint, text: string): Promise<Ask> {
  const predicate = accepted(parsePredicate(text));
  const vm = await VmOverTime.open(ledger, point, 'if there');
  const space =
    vm.kernel === null ? ({ kind: 'physical' } as const) : ({ kind: 'kernel' } as const);
  vm.checkSymbols(predicate);
  const watched = vm.watchPredicate(predicate, space);
  return async ({ row }) => {
    const { value } = await seeAt(watched, firstFrom(vm.past.moments, row.capture));
    return verdictOf(value);
  };
}

/** Runs a command; its exit code. What it prints goes to standard error. */
function exitCodeOf(
  words: readonly string[],
  environment: Readonly<Record<string, string>>,
): Promise<number | NodeJS.Signals> {
  const child = spawn(words[0]!, words.slice(1), {
    stdio: ['ignore', process.stderr, process.stderr],
    env: { ...process.env, ...environment },
  });
  // It ends with us, however that is.
  const end = (): void => void child.kill();
  process.once('exit', end);
  child.once('exit', () => process.off('exit', end));
  return new Promise((resolve, reject) => {
    child.once('error', ({ message }) =>
      reject(new UsageError(`${words[0]!} cannot be started: ${message}`)),
    );
    child.once('exit', (code, signal) => resolve(code ?? signal ?? 1));
  });
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

/** Asks by a command, which is given the point under a debugger's server, and as files where it wants these. */
function askCommand(
  command: Command,
  of: { readonly ledger: Ledger; readonly folder: string; readonly words: readonly string[] },
): Ask {
  const { ledger, folder, words } = of;
  const { core = false, memory = false } = command.opts<Options>();
  return async (point) => {
    const { vm } = point.entry;
    const files: Record<string, string> = {};
    const server = await serveGdb(
      { kind: 'unix', path: join(folder, GDB_SOCKET) },
      {
        open: () => DebuggedVm.open(ledger, point),
        onFailure: (message) => warn(command, message),
        onTurnedAway: () => warn(command, 'a client was turned away: there are too many'),
      },
    );
    try {
      if (core) {
        const path = (files['PAGELEDGER_CORE'] = join(folder, 'core'));
        const kernel = await knownCoreKernel(ledger, point);
        const known = kernel === null ? {} : { kernel };
        await restoreToFile(ledger, point, { format: 'elf', path, isForced: true, ...known });
      }
      if (memory) {
        const path = (files['PAGELEDGER_MEMORY'] = join(folder, 'memory'));
        await restoreToFile(ledger, point, { format: 'raw', path, isForced: true });
      }
      const code = await exitCodeOf(words, {
        ...files,
        PAGELEDGER_VM: vm,
        PAGELEDGER_POINT: `${vm}/@${point.row.capture}`,
        PAGELEDGER_GDB: targetOf(server.address),
      });
      return verdictOfExit(code, point);
    } finally {
      await server.close();
    }
  };
}

export const run = (command: Command): Promise<void> =>
  withLedger(command, 'use', async (ledger, output) => {
    const { vm, from, to, when, core, memory } = command.opts<Options>();
    const words = command.args;
    if ((when === undefined) === (words.length === 0))
      throw new UsageError('either --when or a command behind -- was expected');
    if (when !== undefined && (core === true || memory === true))
      throw new UsageError('--core and --memory are for a command');
    const entry = ledger.vm(vm);
    const rows = momentsBetween(ledger, entry, { from: from ?? null, to });
    const choice = kernelChoiceOf(command);
    const own = new HeldFolder();
    try {
      const last = { entry, row: rows.at(-1)!, ...choice };
      const ask =
        when === undefined
          ? askCommand(command, { ledger, folder: own.path, words })
          : await askPredicate(ledger, last, when);
      const verdicts = new Map<number, Verdict>();
      for (;;) {
        const step = bisectStep({ count: rows.length, verdicts });
        if (step._tag === 'ask') {
          const row = rows[step.moment]!;
          const result = await ask({ entry, row, ...choice });
          verdicts.set(step.moment, result);
          if (output.isJson) output.json({ vm, capture: row.capture, result });
          else output.print(`@${row.capture}: ${SAID[result]}`);
          continue;
        }
        const among = step._tag === 'found' ? step.among.map((at) => rows[at]!.capture) : [];
        const [first = null] = among;
        const told = among.length > 1 ? { among } : {};
        if (output.isJson)
          output.json({
            vm,
            capture: among.at(-1) ?? null,
            result: first === null ? step._tag : 'first',
            ...told,
          });
        else output.print(first === null ? NOWHERE[step._tag] : answerText(among));
        return;
      }
    } finally {
      own.remove();
    }
  });

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
