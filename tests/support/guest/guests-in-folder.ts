// Guests of one kind in a suite's folder: the words that start one by a name and where its console lies, and
// commands that run beside them.

import { join } from 'node:path';
import {
  guestCommand,
  guestPaths,
  type GuestSpecification,
} from '../../../adapters/guests/demo-guest/start-guest.ts';
import type { JsonRow, LedgerCommands, Outcome, RunningCommand } from '../command-line.ts';

export interface GuestsInFolder {
  /** The path of something in the folder. */
  readonly at: (name: string) => string;
  /** For commands: what they keep on their host is in the folder too. */
  readonly environment: () => Record<string, string>;
  readonly wordsOf: (name: string) => readonly string[];
  readonly consoleOf: (name: string) => string;
  readonly qmpOf: (name: string) => string;
  /** Runs a command that must succeed. */
  readonly run: (commands: LedgerCommands, ...words: readonly string[]) => Promise<void>;
}

/** Guests of a folder that need not be there before the first of them is asked for. */
export function guestsIn(
  folder: () => string,
  guest: Omit<GuestSpecification, 'folder' | 'name'>,
): GuestsInFolder {
  const at = (name: string): string => join(folder(), name);
  const environment = (): Record<string, string> => ({ XDG_STATE_HOME: at('state') });
  return {
    at,
    environment,
    wordsOf: (name) => guestCommand({ ...guest, folder: folder(), name }),
    consoleOf: (name) => guestPaths({ folder: folder(), name }).serialPath,
    qmpOf: (name) => guestPaths({ folder: folder(), name }).qmpPath,
    run: async (commands, ...words) => {
      const { exitCode, stderr } = await commands.run(words, { environment: environment() });
      if (exitCode !== 0) throw new TypeError(stderr);
    },
  };
}

/** Waits until a command runs so many clones; their rows by number. */
export async function clonesOf(command: RunningCommand, count: number): Promise<JsonRow[]> {
  await command.until((each) => each.rows().length === count);
  return command.rows().toSorted((a, b) => Number(a['n']) - Number(b['n']));
}

/** Interrupts a command that must end well. */
export async function interrupted(command: RunningCommand): Promise<Outcome> {
  command.signal('SIGINT');
  const outcome = await command.ended;
  if (outcome.exitCode !== 0) throw new TypeError(outcome.stderr);
  return outcome;
}
