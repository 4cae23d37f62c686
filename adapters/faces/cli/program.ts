// The parser: global options, and the commands of the list. A command's own options are declared when
// it is called, from its file.

import { Command } from 'commander';
import type { CommandFile, CommandLine } from './command.ts';
import { COMMANDS, FAMILIES } from './commands.ts';
import { takeVmOfPoints } from './points.ts';

const NOTES = `
Points: latest, @N (Nth capture), pos:N, time:2026-11-20T10:00:00Z, ago:10s, cp:NAME;
web@3 and web/cp:NAME name their VM too, in place of --vm
Times: UTC unless they bear a zone (Z, +02:00) or --local is said; 2026-11-20, 2026-11-20T10:00, 10:00, yesterday
Exit codes: 0 done, 1 failed, 2 bad usage, 3 damage found, 4 somebody else is at it, 5 not there,
6 a server, guest or disk does not answer or is full, 130 and 143 interrupted`;

export interface ProgramOptions {
  /** Whether failures are told as JSON: then the parser tells none. */
  readonly isJson: boolean;
  /** Told of the command that is about to run. */
  readonly onCommand: (file: CommandFile) => void;
}

/** The parser. Commands reject with their failure; usage errors are CommanderErrors. */
export function buildProgram({ isJson, onCommand }: ProgramOptions): Command {
  const program = new Command('pageledger')
    .description('An event-sourced memory-state ledger for virtual machines.')
    .option(
      '--ledger <url>',
      'the ledger: a folder, or esdb://HOST?ledger=NAME (default: $PAGELEDGER, else ./.pageledger)',
    )
    .option(
      '--page-store <url>',
      'where a ledger that is made on a server has its packs: s3://BUCKET/PREFIX, or a folder',
    )
    .option('--json', 'print newline-delimited JSON')
    .option('--quiet', 'print what was asked for and errors: no notices, warnings or progress')
    .option('--local', "times without a zone are of this host's zone, not UTC")
    .option('--patience <duration>', 'wait so long for servers that do not answer (default: 30s)')
    .option('--wait <duration>', 'wait so long for somebody else who records or compacts')
    .configureOutput({
      writeErr: (text) => {
        if (!isJson) process.stderr.write(text);
      },
    })
    .configureHelp({ showGlobalOptions: true })
    .addHelpText('after', NOTES);
  const made = new Map<string, Command>([['', settled(program)]]);
  const called = new Map<Command, CommandLine>();
  for (const line of COMMANDS) called.set(addCommand(made, line.name, line.summary), line);
  for (const [name, command] of made)
    if (name !== '' && !called.has(command)) command.description(FAMILIES[name] ?? '');
  for (const parent of made.values())
    parent.hook('preSubcommand', async (_parent, command) => {
      const line = called.get(command);
      if (line !== undefined) await declare(command, await line.load(), onCommand);
    });
  return program;
}

const settled = (command: Command): Command =>
  command
    .exitOverride()
    .helpCommand(false)
    .showHelpAfterError('(pageledger COMMAND --help tells more)');

/** The command of a name, below that of the words before the last one. */
function addCommand(made: Map<string, Command>, name: string, summary: string): Command {
  const known = made.get(name);
  if (known !== undefined) return known.description(summary);
  const words = name.split(' ');
  const word = words.pop()!;
  const above = words.join(' ');
  const parent = made.get(above) ?? addCommand(made, above, '');
  const command = settled(parent.command(word).description(summary));
  made.set(name, command);
  return command;
}

function declare(
  command: Command,
  file: CommandFile,
  onCommand: ProgramOptions['onCommand'],
): Promise<void> {
  takeVmOfPoints(file.declare(command));
  command.action(async () => {
    onCommand(file);
    await file.run(command);
  });
  return Promise.resolve();
}

/** Words as they are parsed: `help COMMAND` is `COMMAND --help`. */
export const parsedWords = (words: readonly string[]): readonly string[] =>
  words[0] === 'help' ? [...words.slice(1), '--help'] : words;

/** Whether words ask for JSON; those after -- are another program's. */
export function wantsJson(words: readonly string[]): boolean {
  const end = words.indexOf('--');
  return words.slice(0, end < 0 ? words.length : end).includes('--json');
}
