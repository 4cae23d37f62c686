// What every command shares: the ledger it is about, where output goes, how it is opened and closed.

import type { Command } from 'commander';
// Not from index.ts: small questions start quickly when they load no more than they need.
import type { Ledger, LedgerMode } from '../../wiring/ledger.ts';
import { openLedger } from '../../wiring/open-ledger.ts';
import { type OpenLedgerOptions } from '../../wiring/options.ts';
import { Output } from './output.ts';
import { Progress } from './progress.ts';

const DEFAULT_LEDGER = './.pageledger';

interface GlobalOptions {
  readonly ledger?: string;
  readonly pageStore?: string;
  readonly json?: boolean;
}

const globals = (command: Command): GlobalOptions => command.optsWithGlobals<GlobalOptions>();

export const ledgerUrl = (command: Command): string =>
  globals(command).ledger ?? process.env['PAGELEDGER'] ?? DEFAULT_LEDGER;

export const outputOf = (command: Command): Output =>
  new Output({
    isJson: globals(command).json ?? false,
    write: (text) => process.stdout.write(text),
  });

/** A line of progress on standard error, where that is a terminal. */
export const progressOf = (label: string): Progress =>
  new Progress(label, {
    isTTY: process.stderr.isTTY,
    write: (text) => process.stderr.write(text),
    now: () => performance.now(),
  });

export const warn = (sentence: string): void => {
  process.stderr.write(`pageledger: warning: ${sentence}\n`);
};

/** What the environment and the command line say about opening any ledger. */
export function openOptions(command: Command): Omit<OpenLedgerOptions, 'url' | 'mode'> {
  const keys = process.env['PAGELEDGER_KEYS'];
  const { pageStore } = globals(command);
  return {
    onNotice: (sentence) => process.stderr.write(`pageledger: ${sentence}\n`),
    ...(keys === undefined ? {} : { keys }),
    ...(pageStore === undefined ? {} : { pageStore }),
  };
}

/** Opens the ledger, does the work, and closes it, whatever happens. */
export async function withLedger<A>(
  command: Command,
  mode: LedgerMode,
  work: (ledger: Ledger, output: Output) => Promise<A>,
): Promise<A> {
  const ledger = await openLedger({ ...openOptions(command), url: ledgerUrl(command), mode });
  for (const finding of ledger.findings) warn(`${finding.where}: ${finding.reason}`);
  try {
    return await work(ledger, outputOf(command));
  } finally {
    await ledger.close();
  }
}
