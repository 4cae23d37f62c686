// What is told of the commands themselves: their help, an example of each that does what it says, other
// programs' names for them, the manual page, and completion, all of one definition.

import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { Command } from 'commander';
import { COMMANDS } from '../../../adapters/faces/cli/commands.ts';
import { EXAMPLES } from '../../../adapters/faces/cli/examples.ts';
import { buildProgram, wholeProgram } from '../../../adapters/faces/cli/program.ts';
import { COMMAND_LINE } from '../../support/command-line.ts';
import { imageSeries } from '../../support/images.ts';
import { writeImages } from '../../support/ledgers/recorded-images.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';
import { describeWithPrograms } from '../../support/tools.ts';
import { sampleOf } from '../../support/long-run.ts';

jest.setTimeout(240_000);

const COLUMNS = 80;
/** Need a guest that runs, a Linux kernel in memory, a debugger or nbdfuse: acceptance has these apart. */
const ELSEWHERE =
  /^pageledger (?:record qemu|resume|clone|serve|mount|unmount|gdb|dap|demo|lease|park|wake|host|large-pages|ps|owners|dmesg|symbols|export|migrate)\b/u;

let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await makeTemporaryFolder();
});
afterAll(() => folder.remove());

const examples = Object.values(EXAMPLES).flat();

/** Words as a shell takes them apart. */
function wordsOf(line: string): string[] {
  const { stdout } = spawnSync('bash', ['-c', `printf '%s\\0' ${line.replace(/ [|>].*/u, '')}`]);
  return stdout.toString().split('\0').slice(1, -1);
}

const isParsed = new Error('parsed');

/** What the parser says of a line, short of running it. */
async function parsed(line: string): Promise<unknown> {
  const program = buildProgram({
    isJson: true,
    onCommand: () => {
      throw isParsed;
    },
  });
  return program.parseAsync(wordsOf(line), { from: 'user' }).catch((thrown: unknown) => thrown);
}

/** Runs a line in the folder, where pageledger is the command. */
function shell(line: string) {
  const { status, stdout, stderr } = spawnSync(
    'bash',
    ['-c', `pageledger() { "${process.execPath}" "${COMMAND_LINE}" "$@"; }; ${line}`],
    { cwd: folder.path, encoding: 'utf8', env: { ...process.env, PAGELEDGER: '' } },
  );
  return { status, stdout, stderr };
}

describe('examples', () => {
  test('are there for every command, and of no other', () => {
    expect(Object.keys(EXAMPLES).toSorted()).toEqual(COMMANDS.map(({ name }) => name).toSorted());
    expect(Object.values(EXAMPLES).every((of) => of.length > 0)).toBe(true);
  });

  test('are words that their commands take', async () => {
    for (const example of examples)
      expect([example, await parsed(example)]).toEqual([example, isParsed]);
  });

  test('do what they say, one after the other', () => {
    const mix = { zero: 30, text: 30, random: 0, repeated: 10, duplicate: 30 };
    const images = [...imageSeries({ seed: 1, pages: 64, captures: 3, changedPages: 20, mix })].map(
      (image) => image.slice(),
    );
    const [monday, tuesday, wednesday] = writeImages({ folder: folder.path, name: 'i', images });
    mkdirSync(join(folder.path, 'images'));
    const move = `mv ${monday} monday.raw; mv ${tuesday} tuesday.raw; mv ${wednesday} images/w.raw`;
    expect(shell(move).status).toBe(0);
    writeFileSync(join(folder.path, 'page.bin'), images[0]!.subarray(0, 4096));
    const ORDER = ['init', 'record image', 'checkpoint', 'patterns add', 'group export'];
    const last = ['forget', 'copy', 'retire', 'drop'];
    const names = [
      ...ORDER,
      ...Object.keys(EXAMPLES).filter((name) => ![...ORDER, ...last].includes(name)),
      ...last,
    ];
    for (const line of names.flatMap((name) => sampleOf(EXAMPLES[name]!, 2))) {
      if (ELSEWHERE.test(line)) continue;
      // A checkpoint is wanted by those that follow, and a VM that retires by the one after it.
      if (line.includes('checkpoint') && line.includes('--drop')) continue;
      const run = line
        .replace('record image --init', 'record image')
        .replace('/backup/', './')
        .replace('/etc/bash_completion.d/', './')
        .replace('| man -l -', '> page.1');
      const found = shell(run);
      expect({ line, ...found }).toMatchObject({ line, status: 0 });
    }
    expect(readFileSync(join(folder.path, 'back.raw'))).toEqual(Buffer.from(images[1]!));
  });
});

describe('help', () => {
  let program: Command;
  beforeAll(async () => {
    program = await wholeProgram();
  });

  const all = (command: Command): Command[] => [command, ...command.commands.flatMap(all)];

  test('fits a terminal, and its usage line bears what must be said', () => {
    for (const command of all(program)) {
      let help = '';
      command.configureOutput({
        writeOut: (text) => {
          help += text;
        },
        getOutHelpWidth: () => COLUMNS,
      });
      command.outputHelp();
      const long = help.split('\n').filter((line) => line.length > COLUMNS);
      expect([command.name(), long]).toEqual([command.name(), []]);
      const [usage] = help.split('\n');
      const must = command.options.filter(({ mandatory }) => mandatory).map(({ flags }) => flags);
      expect(must.filter((flags) => !usage!.includes(flags))).toEqual([]);
    }
  });

  test('of the environment has every variable that is read', () => {
    const root = new URL('../../../../', import.meta.url);
    const readme = readFileSync(new URL('README.md', root), 'utf8');
    const adapters = new URL('adapters/', root);
    const sources = readdirSync(adapters, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => readFileSync(new URL(name, adapters), 'utf8'));
    const read = sources.flatMap((text) =>
      [...text.matchAll(/(?:process\.env\[|\bvariable\()'([A-Z_]+)'/gu)].map(([, name]) => name!),
    );
    expect(read).toContain('PAGELEDGER_KEYS');
    const told = (name: string): boolean => name === 'PATH' || readme.includes(`\`${name}\``);
    expect(read.filter((name) => !told(name))).toEqual([]);
  });

  test('answers names that other programs have', () => {
    const answer = (word: string): string => shell(`pageledger ${word}`).stderr;
    expect(answer('prune')).toContain('`pageledger forget` and `pageledger compact`');
    expect(answer('snapshots')).toContain('`pageledger captures --vm NAME`');
    expect(shell('pageledger --json stats').stderr).toContain('pageledger vms');
    expect(answer('restroe')).toContain('Did you mean restore?');
    const { version } = JSON.parse(
      readFileSync(new URL('../../../../package.json', import.meta.url), 'utf8'),
    ) as { version: string };
    expect(shell('pageledger --version').stdout).toBe(`${version}\n`);
  });

  describeWithPrograms('as a manual page', ['groff'], () => {
    test('has every command, and no line that troff warns of', () => {
      const { status, stderr } = shell('pageledger man | groff -ww -man -Tascii > page.txt');
      expect([status, stderr]).toEqual([0, '']);
      // Bold is a letter written twice.
      const page = readFileSync(join(folder.path, 'page.txt'), 'utf8').replaceAll(/.[\b]/gu, '');
      for (const { name } of COMMANDS) expect(page).toContain(`   ${name}`);
    });
  });

  test('completes commands, options and their values in bash', () => {
    expect(shell('pageledger completion bash > c.bash').status).toBe(0);
    const complete = (...words: string[]): string[] =>
      shell(
        `. ./c.bash; COMP_WORDS=(pageledger ${words.map((word) => `'${word}'`).join(' ')}); ` +
          `COMP_CWORD=${words.length}; _pageledger; echo "\${COMPREPLY[*]}"`,
      )
        .stdout.trim()
        .split(' ');
    expect(complete('rest')).toEqual(['restore']);
    expect(complete('record', 'im')).toEqual(['image']);
    expect(complete('record', 'qemu', '--qm')).toEqual(['--qmp']);
    expect(complete('restore', '--damaged', '')).toEqual(['zero']);
    expect(complete('group', 'e')).toEqual(['export']);
    for (const name of ['zsh', 'fish'])
      expect(shell(`pageledger completion ${name}`).stdout).toContain('restore');
  });
});
