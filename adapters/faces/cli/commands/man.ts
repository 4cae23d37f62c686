// `man`: the manual page, made from the commands' own definitions.

import type { Command } from 'commander';
import { VERSION } from '../../../wiring/ledger/actor.ts';
import { EXAMPLES } from '../examples.ts';
import { NOTES } from '../notes.ts';

export const declare = (command: Command): Command => command;

/** A text as troff takes it: no word of it is a request, and a hyphen is one that can be copied. */
const troff = (text: string): string =>
  text
    .replaceAll('\\', String.raw`\e`)
    .replaceAll('-', String.raw`\-`)
    .replace(/^(?=[.'])/gmu, String.raw`\&`);

const sentence = (text: string): string => text.replaceAll(/\s*\n\s*/gu, ' ').trim();

function optionLines(command: Command): string[] {
  return command.options.flatMap((option) => {
    const { flags, description, defaultValue, argChoices, mandatory } = option;
    const known = typeof defaultValue === 'string' || typeof defaultValue === 'number';
    const more = [
      ...(argChoices === undefined ? [] : [`one of ${argChoices.join(', ')}`]),
      ...(known ? [`default: ${String(defaultValue)}`] : []),
      ...(mandatory ? ['required'] : []),
    ];
    const text = more.length === 0 ? description : `${description} (${more.join('; ')})`;
    return ['.TP', `.B ${troff(flags)}`, troff(sentence(text))];
  });
}

/** A command, and those of a second word below it: what has examples is one that runs. */
function commandLines(command: Command, above: string): string[] {
  const name = `${above}${command.name()}`;
  const below = command.commands.flatMap((of) => commandLines(of, `${name} `));
  return EXAMPLES[name] === undefined ? below : [...ownLines(command, name), ...below];
}

function ownLines(command: Command, name: string): string[] {
  const summary = command.description();
  const examples = (EXAMPLES[name] ?? []).map(troff);
  return [
    `.SS ${troff(`${name} ${command.usage()}`)}`,
    `${troff(summary[0]!.toUpperCase() + summary.slice(1))}.`,
    ...command.registeredArguments.flatMap((argument) => [
      '.TP',
      `.B ${troff(argument.name())}`,
      troff(sentence(argument.description)),
    ]),
    ...optionLines(command),
    ...(examples.length === 0 ? [] : ['.PP', '.nf', '.RS', ...examples, '.RE', '.fi']),
  ];
}

export async function run(_command: Command, whole: () => Promise<Command>): Promise<void> {
  const program = await whole();
  const lines = [
    `.TH PAGELEDGER 1 "" "pageledger ${VERSION}" "User Commands"`,
    '.SH NAME',
    `pageledger ${String.raw`\-`} memory of virtual machines, at every point that was recorded`,
    '.SH SYNOPSIS',
    '.B pageledger',
    '[options] command ...',
    '.SH OPTIONS',
    ...optionLines(program),
    '.SH COMMANDS',
    ...program.commands.flatMap((command) => commandLines(command, '')),
    '.SH NOTES',
    ...NOTES.trim()
      .split('\n')
      .flatMap((line) => [troff(line), '.br']),
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}
