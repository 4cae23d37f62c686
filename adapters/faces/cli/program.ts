// The parser: global options, and the commands of the list. A command's own options are declared when
// it is called, from its file.

import { Command } from 'commander';
import type { CommandFile, CommandLine } from './command.ts';
import { COMMANDS, FAMILIES } from './commands.ts';
import { EXAMPLES } from './examples.ts';
import { DURATIONS, NOTES, POINTS } from './notes.ts';
import { withPeersName } from './peers-names.ts';
import { forStandardError } from './wrapped-text.ts';
import { VERSION } from '../../wiring/ledger/actor.ts';

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
    .version(VERSION, '--version', 'print the version')
    .option('--json', 'print newline-delimited JSON')
    .option('--quiet', 'print what was asked for and errors: no notices, warnings or progress')
    .option('--wide', 'all columns of tables, however narrow the terminal')
    .option('--local', "times without a zone are of this host's zone, not UTC")
    .option(
      '--patience <duration>',
      'wait so long for servers that do not answer (default: 30s; `record qemu` until stopped: as long as it takes)',
    )
    .option('--wait <duration>', 'wait so long for somebody else who is at it (exit code 4)')
    .configureOutput({
      writeErr: (text) => {
        if (!isJson) process.stderr.write(text);
      },
      outputError: (text, write) => write(forStandardError(withPeersName(text))),
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
      if (line !== undefined)
        await declare(command, line.name, { file: await line.load(), onCommand });
    });
  return program;
}

const settled = (command: Command, name = 'COMMAND'): Command =>
  command
    .exitOverride()
    .helpCommand(false)
    .showHelpAfterError(`(pageledger ${name} --help tells more)`);

/** The command of a name, below that of the words before the last one. */
function addCommand(made: Map<string, Command>, name: string, summary: string): Command {
  const known = made.get(name);
  if (known !== undefined) return known.description(summary);
  const words = name.split(' ');
  const word = words.pop()!;
  const above = words.join(' ');
  const parent = made.get(above) ?? addCommand(made, above, '');
  const command = settled(parent.command(word).description(summary), name);
  made.set(name, command);
  return command;
}

/** What is to be said is in the usage line; below the options, what they take, and examples. */
function helped(command: Command, name: string): void {
  const required = command.options.filter(({ mandatory }) => mandatory).map(({ flags }) => flags);
  const words = command.registeredArguments.map((argument) => {
    const word = `${argument.name()}${argument.variadic ? '...' : ''}`;
    return argument.required ? `<${word}>` : `[${word}]`;
  });
  command.usage([...required, '[options]', ...words].join(' '));
  const takes = (value: RegExp): boolean =>
    [...command.options, ...command.registeredArguments].some((one) =>
      value.test('flags' in one ? one.flags : one.description),
    );
  const examples = (EXAMPLES[name] ?? []).map((example) => `  ${example}`);
  command.addHelpText(
    'after',
    [
      ...(takes(/<point>|<moment>|\ba point\b/u) ? [POINTS] : []),
      ...(takes(/<duration>/u) ? [DURATIONS] : []),
      ...(examples.length === 0 ? [] : ['', `Example${examples.length === 1 ? '' : 's'}:`]),
      ...examples,
    ].join('\n'),
  );
}

/** The parser with the options of all commands, for what tells of them all. */
export async function wholeProgram(): Promise<Command> {
  const program = buildProgram({ isJson: true, onCommand: () => undefined });
  for (const { name, load } of COMMANDS) {
    const words = name.split(' ');
    const command = words.reduce(
      (above, word) => above.commands.find((below) => below.name() === word) ?? above,
      program,
    );
    await declare(command, name, { file: await load(), onCommand: () => undefined });
  }
  return program;
}

async function declare(
  command: Command,
  name: string,
  { file, onCommand }: { readonly file: CommandFile } & Pick<ProgramOptions, 'onCommand'>,
): Promise<void> {
  // Who asks for help of the whole loads no word on points.
  const { takeVmOfPoints } = await import('./points.ts');
  takeVmOfPoints(file.declare(command));
  helped(command, name);
  command.action(async () => {
    onCommand(file);
    await file.run(command, wholeProgram);
  });
}

/** Words as they are parsed: `help COMMAND` is `COMMAND --help`. */
export const parsedWords = (words: readonly string[]): readonly string[] =>
  words[0] === 'help' ? [...words.slice(1), '--help'] : words;

/** Whether words ask for JSON; those after -- are another program's. */
export function wantsJson(words: readonly string[]): boolean {
  const end = words.indexOf('--');
  return words.slice(0, end < 0 ? words.length : end).includes('--json');
}
