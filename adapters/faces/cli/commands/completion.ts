// `completion`: a script that has a shell complete commands, options and what these may be; made from the
// commands' own definitions.

import { Argument, type Command, type Option } from 'commander';

const SHELLS = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof SHELLS)[number];

export const declare = (command: Command): Command =>
  command.addArgument(new Argument('<shell>', 'the shell').choices(SHELLS));

/** A command as shells complete it. */
interface Completed {
  /** Its words; none: the program itself. */
  readonly words: readonly string[];
  readonly below: readonly Command[];
  readonly options: readonly Option[];
}

function completedOf(command: Command, words: readonly string[] = []): Completed[] {
  const own = { words, below: command.commands, options: command.options };
  return [
    own,
    ...command.commands.flatMap((below) => completedOf(below, [...words, below.name()])),
  ];
}

const longOf = ({ long }: Option): string => long ?? '';
const takesFile = ({ flags }: Option): boolean => /<(?:file|folder|socket|ledger|url)/u.test(flags);
const quotedFor = (text: string): string => `'${text.replaceAll("'", '')}'`;

/** Bash, and zsh through its bashcompinit: a case for each command. */
function bashScript(all: readonly Completed[], globals: readonly Option[]): string {
  const cases = all.map(({ words, below, options }) => {
    const own = [...below.map((command) => command.name()), ...options.map(longOf), '--help'];
    const shared = words.length === 0 ? [] : globals.map(longOf);
    return `    ${quotedFor(words.join(' '))}) words='${[...own, ...shared].join(' ')}' ;;`;
  });
  const chosen = new Map<string, Set<string>>();
  for (const option of all.flatMap(({ options }) => options)) {
    const choices = chosen.get(longOf(option)) ?? new Set();
    for (const choice of option.argChoices ?? []) choices.add(choice);
    chosen.set(longOf(option), choices);
  }
  const values = [...chosen].filter(([, choices]) => choices.size > 0);
  const files = new Set(all.flatMap(({ options }) => options.filter(takesFile).map(longOf)));
  const known = all.map(({ words }) => words.join(' ')).filter((words) => words !== '');
  return [
    '_pageledger() {',
    '  local current="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD-1]}"',
    "  local called='' word words='' i",
    '  for ((i = 1; i < COMP_CWORD; i++)); do',
    '    word="${COMP_WORDS[i]}"',
    '    case "${called:+$called }$word" in',
    `      ${known.map(quotedFor).join('|')}) called="\${called:+$called }$word" ;;`,
    '    esac',
    '  done',
    '  case "$before" in',
    ...values.map(
      ([long, choices]) =>
        `    ${long}) COMPREPLY=($(compgen -W '${[...choices].join(' ')}' -- "$current")); return ;;`,
    ),
    `    ${[...files].join('|')}) COMPREPLY=($(compgen -f -- "$current")); return ;;`,
    '  esac',
    '  case "$called" in',
    ...cases,
    '  esac',
    '  COMPREPLY=($(compgen -W "$words" -- "$current"))',
    '  [ ${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- "$current"))',
    '}',
    'complete -F _pageledger pageledger',
    '',
  ].join('\n');
}

function fishScript(all: readonly Completed[]): string {
  const lines = all.flatMap(({ words, below, options }) => {
    const seen = words.map((word) => `__fish_seen_subcommand_from ${word}`);
    const names = below.map((command) => command.name());
    const isHere = [
      ...seen,
      ...(names.length === 0 ? [] : [`not __fish_seen_subcommand_from ${names.join(' ')}`]),
    ].join('; and ');
    const here = isHere === '' ? '' : ` -n ${quotedFor(isHere)}`;
    return [
      ...below.map(
        (command) =>
          `complete -c pageledger -f${here} -a ${command.name()} -d ${quotedFor(command.description())}`,
      ),
      ...options.map((option) => {
        const on = words.length === 0 ? '' : ` -n ${quotedFor(seen.join('; and '))}`;
        const takes = option.required ? (takesFile(option) ? ' -r -F' : ' -x') : '';
        const choices =
          option.argChoices === undefined ? '' : ` -a ${quotedFor(option.argChoices.join(' '))}`;
        return `complete -c pageledger${on} -l ${longOf(option).slice(2)}${takes}${choices} -d ${quotedFor(option.description)}`;
      }),
    ];
  });
  return `${lines.join('\n')}\n`;
}

function scriptFor(shell: Shell, program: Command): string {
  const all = completedOf(program);
  if (shell === 'fish') return fishScript(all);
  const script = bashScript(all, program.options);
  return shell === 'bash'
    ? script
    : `#compdef pageledger\nautoload -U +X bashcompinit && bashcompinit\n${script}`;
}

export async function run(command: Command, whole: () => Promise<Command>): Promise<void> {
  const shell = SHELLS.find((known) => known === command.args[0]) ?? 'bash';
  process.stdout.write(scriptFor(shell, await whole()));
}
