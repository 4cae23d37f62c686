// What people see at a terminal of 80 columns: no line of a command is wider.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { COMMAND_LINE } from '../support/command-line.ts';
import { imageSeries } from '../support/images.ts';
import { writeImages } from '../support/recorded-images.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../support/temporary-folder.ts';
import { describeWithPrograms } from '../support/tools.ts';

jest.setTimeout(120_000);

const COLUMNS = 80;
const LINES = [
  'record image --init --vm web "$@"',
  'checkpoint --name before-upgrade --at web@2 --note "the kernel of Friday"',
  'restore --at web/cp:before-upgrade --to back.raw',
  'vms --cost',
  'captures --vm web --cost',
  'checkpoints',
  'log --last 12',
  'history --vm web --page 3',
  'who --vm web --page 5',
  'diff web@1 web@2 --bytes --page 0-20',
  'sharing',
  'sharing --what-if',
  'forget --keep-last 1 --dry-run',
  'compact --dry-run',
  'verify',
];

let folder: TemporaryFolder;
let files: string[];
beforeAll(async () => {
  folder = await makeTemporaryFolder();
  const mix = { zero: 30, text: 30, random: 10, repeated: 10, duplicate: 20 };
  const images = imageSeries({ seed: 1, pages: 120, captures: 3, changedPages: 30, mix });
  files = writeImages({ folder: folder.path, name: 'image', images });
});
afterAll(() => folder.remove());

describeWithPrograms('at a terminal of 80 columns', ['script', 'stty'], () => {
  test('no line of the tour is wider, and what is forgotten is dimmed', () => {
    const calls = [...LINES, 'forget --at web@1', 'captures --vm web'];
    const run = calls.map((words) => `"$NODE" "$MAIN" --ledger ledger ${words}`).join(' && ');
    const tour = `stty cols ${COLUMNS} && set -- ${files.map((path) => `'${path}'`).join(' ')} && ${run}`;
    const { status, stdout } = spawnSync(
      'script',
      ['-qec', tour, join(folder.path, 'typescript')],
      {
        cwd: folder.path,
        encoding: 'utf8',
        env: { ...process.env, NODE: process.execPath, MAIN: COMMAND_LINE, NO_COLOR: '' },
      },
    );
    // What was drawn over, as progress is, is not there any more.
    const lines = stripVTControlCharacters(stdout).split(/\r?\n|\r/u);
    expect({ status, wide: lines.filter((line) => line.length > COLUMNS) }).toEqual({
      status: 0,
      wide: [],
    });
    expect(lines.join('\n')).toContain('web@3: 30 pages written');
    expect(stdout).toContain('\u001B[2m');
  });
});
