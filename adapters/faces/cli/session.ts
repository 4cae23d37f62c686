// What every command shares: the ledger it is about, where output goes, how it is opened and closed.

import type { Command } from 'commander';
import { isLedgerError, type LedgerErrorCode } from '../../../domain/values/ledger-error.ts';
import { isRefused } from '../../../domain/values/refused.ts';
import { durationMs } from '../../../domain/values/instant.ts';
// Not from index.ts: small questions start quickly when they load no more than they need.
import type { Ledger } from '../../wiring/ledger/ledger.ts';
import type { LedgerMode } from '../../wiring/ledger/ledger-parts.ts';
import { isMemoryUrl } from '../../wiring/opening/memory-url.ts';
import { openLedger } from '../../wiring/opening/open-ledger.ts';
import { LOCAL } from '../../wiring/questions/local-zone.ts';
import { type OpenLedgerOptions } from '../../wiring/opening/options.ts';
import { escapedLines } from '../rows/escaped-text.ts';
import { UsageError } from './failure.ts';
import { tellOfInterruption } from './interruption.ts';
import { Output } from './output.ts';
import { Progress } from './progress.ts';
import { forStandardError } from './wrapped-text.ts';

const DEFAULT_LEDGER = './.pageledger';
/** How often it is tried again where somebody else is at it. */
const WAIT_STEP_MS = 200;

interface GlobalOptions {
  readonly ledger?: string;
  readonly pageStore?: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly patience?: string;
  readonly wait?: string;
  readonly local?: boolean;
  readonly wide?: boolean;
}

const globals = (command: Command): GlobalOptions => command.optsWithGlobals<GlobalOptions>();

/** A variable of the environment; set and empty it counts as not set. */
const variable = (name: string): string | undefined => process.env[name] || undefined;

/** The ledger that is meant. An empty one is a shell's variable that was never set: refused. */
export function ledgerUrl(command: Command): string {
  const { ledger } = globals(command);
  if (ledger === '')
    throw new UsageError(
      '--ledger is empty: a folder or esdb://HOST?ledger=NAME was expected; leave it out for $PAGELEDGER, else ./.pageledger',
    );
  return lasting(ledger ?? variable('PAGELEDGER') ?? DEFAULT_LEDGER);
}

/** The URL, unless it is of a ledger that would end with the command. */
export function lasting(url: string): string {
  if (!isMemoryUrl(url)) return url;
  throw new UsageError(
    `a ledger at ${url} ends with its process, and is for programs; name a folder or esdb://HOST?ledger=NAME`,
  );
}

export const outputOf = (command: Command): Output => {
  const { json = false, quiet = false, wide = false } = globals(command);
  const { isTTY, columns } = process.stdout;
  return new Output({
    isJson: json,
    isQuiet: quiet,
    ...(isTTY && !wide ? { columns } : {}),
    isColoured: isTTY && variable('NO_COLOR') === undefined,
    write: (text) => process.stdout.write(text),
  });
};

/** Waits until what was printed so far is taken: all of it may be larger than memory. */
export async function drained(): Promise<void> {
  if (process.stdout.writableNeedDrain)
    await new Promise<void>((resolve) => process.stdout.once('drain', () => resolve()));
}

/** A line of progress on standard error, where that is a terminal. */
export const progressOf = (command: Command, label: string): Progress =>
  new Progress(label, {
    columns: process.stderr.columns,
    isTTY: process.stderr.isTTY && globals(command).quiet !== true,
    write: (text) => process.stderr.write(text),
    now: () => performance.now(),
  });

/** A sentence for people beside the output; none with --quiet. */
export function tell(command: Command, sentence: string): void {
  if (globals(command).quiet !== true)
    process.stderr.write(`${forStandardError(escapedLines(`pageledger: ${sentence}`))}\n`);
}

export const warn = (command: Command, sentence: string): void =>
  tell(command, `warning: ${sentence}`);

function patienceOf(text: string): number {
  const ms = durationMs(text);
  if (ms === null)
    throw new UsageError(`--patience ${text}: a duration such as 30s, 5m or 2h was expected`);
  return ms;
}

/** What the environment and the command line say about opening any ledger. */
export function openOptions(command: Command): Omit<OpenLedgerOptions, 'url' | 'mode'> {
  const keys = variable('PAGELEDGER_KEYS');
  const { pageStore, local, patience } = globals(command);
  return {
    ...(local === true ? { zone: LOCAL } : {}),
    onNotice: (sentence) => tell(command, sentence),
    ...(keys === undefined ? {} : { keys }),
    ...(pageStore === undefined ? {} : { pageStore }),
    ...(patience === undefined ? {} : { patienceMs: patienceOf(patience) }),
  };
}

const READING: readonly string[] = ['read', 'read catalogue'];

/** What an interrupted command says that has nothing of its own to say. */
function doneText(mode: LedgerMode | 'read catalogue'): string {
  if (READING.includes(mode)) return 'nothing was changed';
  return mode === 'use'
    ? 'nothing of what is recorded was changed'
    : 'what was done by then stays, and the rest is not done; `pageledger log --last 5` shows what came last';
}

/** Opens the ledger, does the work, and closes it, whatever happens; `unsaid` holds where the user says nothing. */
export async function withLedger<A>(
  command: Command,
  mode: LedgerMode | 'read catalogue',
  work: (ledger: Ledger, output: Output) => Promise<A>,
  unsaid: Pick<OpenLedgerOptions, 'patienceMs'> = {},
): Promise<A> {
  const untilMs = untilOf(command);
  const isForCatalogue = mode === 'read catalogue';
  const ledger = await openLedger({
    ...unsaid,
    ...openOptions(command),
    url: ledgerUrl(command),
    mode: isForCatalogue ? 'read' : mode,
    isForCatalogue,
  });
  tellOfInterruption(() => doneText(mode));
  for (const finding of ledger.findings) warn(command, `${finding.where}: ${finding.reason}`);
  try {
    return await onceFree(untilMs, () => work(ledger, outputOf(command)));
  } finally {
    await ledger.close();
  }
}

/** Until when others are waited for. */
function untilOf(command: Command): number {
  const { wait } = globals(command);
  if (wait === undefined) return 0;
  const ms = durationMs(wait);
  if (ms !== null) return performance.now() + ms;
  throw new UsageError(`--wait ${wait} is no duration: 30s, 5m or 1h were expected`);
}

/** Somebody else is at it: they are met before anything was done. */
const TAKEN: readonly LedgerErrorCode[] = [
  'VM_BUSY',
  'COMPACTION_BUSY',
  'GUEST_ARRIVING',
  'MOUNT_BUSY',
];
const isTaken = (thrown: unknown): boolean =>
  isLedgerError(thrown)
    ? TAKEN.includes(thrown.code)
    : isRefused(thrown) && thrown.refusal._tag === 'MigrationUnderWay';

/** Does work for which no ledger is opened, as soon as nobody else is at it, as long as --wait says. */
export const onceNobodyIsAtIt = <A>(command: Command, work: () => Promise<A>): Promise<A> =>
  onceFree(untilOf(command), work);

async function onceFree<A>(untilMs: number, work: () => Promise<A>): Promise<A> {
  for (;;) {
    try {
      return await work();
    } catch (thrown) {
      if (!isTaken(thrown) || performance.now() >= untilMs) throw thrown;
      await new Promise((resolve) => {
        setTimeout(resolve, WAIT_STEP_MS);
      });
    }
  }
}
