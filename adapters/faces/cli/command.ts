// What a file in commands/ holds. It is loaded when its command is called, so that help and small
// questions start quickly, and it may import whatever the command needs.

import type { Command } from 'commander';

export interface CommandFile {
  /** Declares the command's arguments and options. */
  readonly declare: (command: Command) => Command;
  /** Does it. Failures are thrown. `whole` gives the parser with the options of all commands. */
  readonly run: (command: Command, whole: () => Promise<Command>) => Promise<void>;
  /** Whether it goes on to its end when nobody reads what it prints any more: it does more than that. */
  readonly goesOnUnread?: boolean;
}

/** A command as `--help` lists it. */
export interface CommandLine {
  /** Its words: `captures`, `group list`. */
  readonly name: string;
  readonly summary: string;
  readonly load: () => Promise<CommandFile>;
}
