// What people see at a terminal of 80 columns: no line of a command is wider.

import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { stripVTControlCharacters } from 'node:util';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { COMMAND_LINE } from '../../support/command-line.ts';
import { imageSeries } from '../../support/images.ts';
import { writeImages } from '../../support/ledgers/recorded-images.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';
import { describeWithPrograms } from '../../support/tools.ts';
import { testLong } from '../../support/test-long.ts';

jest.setTimeout(400_000);

const COLUMNS = 80;
/** A name that leaves little room for what else is in a table. */
const LONG = 'a-guest-with-quite-a-long-name.of-some-fleet.example';
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
  'read --at web@1 --page 3 --length 64',
  'values --vm web --address 0x3000',
  'find --hex 000102030405',
  'diff web@1 web@2 --bytes --page 0-20',
  'sharing',
  'sharing --what-if',
  'forget --keep-last 1 --dry-run',
  'large-pages --vm web',
  'patterns',
  'leases',
  'group list',
  'compact --dry-run',
  'compact',
  'verify',
  'copy ledger ./copied',
  `record image --vm ${LONG} "$1"`,
  'vms --cost',
  'find --hex 000102030405 --last 3',
  'history --vm web --address 0x3000 --last 2',
  'forget --keep-last 1 --dry-run',
  'large-pages --vm web --replay 8,coldest:1',
  'clones',
  'host join --host one.example --address unix:/run/pageledger/of-this-host.sock',
  'host list',
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

/** The tour in words of a shell; it ends at the first command that fails. */
function tourIn(ledger: string): string {
  const calls = [...LINES, 'forget --at web@1', 'captures --vm web'];
  const run = calls.map(
    (words) => `"$NODE" "$MAIN" --ledger ${ledger} ${words.replace(' ledger ', ` ${ledger} `)}`,
  );
  return `set -- ${files.map((path) => `'${path}'`).join(' ')} && ${run.join(' && ')}`;
}

describeWithPrograms('at a terminal of 80 columns', ['script', 'stty'], () => {
  test('no line of the tour is wider, and what is forgotten is dimmed', () => {
    const tour = `stty cols ${COLUMNS} && ${tourIn('ledger')}`;
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

const LINES_MAX = 5_000;

describeWithPrograms('in a terminal of 80 columns under tmux', ['tmux'], () => {
  testLong('no line of the tour is one that the terminal had to wrap', async () => {
    const script = join(folder.path, 'tour.sh');
    writeFileSync(
      script,
      `${tourIn('tmux-ledger').replace('back.raw', 'again.raw').replace('copied', 'again')}; echo "END $?"\n`,
    );
    const socket = join(folder.path, 'tmux');
    const tmux = (...words: string[]): string => {
      const options = { cwd: folder.path, encoding: 'utf8', env: environment } as const;
      const { stdout, stderr, status } = spawnSync('tmux', ['-S', socket, ...words], options);
      expect([words, status, stderr]).toEqual([words, 0, '']);
      return stdout;
    };
    const environment = {
      ...process.env,
      NODE: process.execPath,
      MAIN: COMMAND_LINE,
      LC_ALL: 'C.UTF-8',
    };
    const limit = ['set', '-g', 'history-limit', `${LINES_MAX}`];
    const session = ['new-session', '-d', '-s', 'tour', '-x', `${COLUMNS}`, '-y', '50'];
    const words = ['-f', '/dev/null', 'start-server', ';', ...limit, ';', ...session];
    tmux(...words, `sh ${script}; exec sleep 100000`);
    /** All that was shown; with `-J` what the terminal wrapped is one line. */
    const shown = (...how: string[]): string[] =>
      tmux('capture-pane', '-p', '-S', '-', '-t', 'tour', ...how)
        .split('\n')
        .map((line) => line.trimEnd());
    try {
      while (!shown().some((line) => line.startsWith('END '))) await sleep(500);
      const lines = shown('-J');
      expect(lines.filter((line) => line.length > COLUMNS)).toEqual([]);
      expect(lines).toEqual(shown());
      expect(lines).toContain('END 0');
      expect(lines.join('\n')).toContain('web@3: 30 pages written');
    } finally {
      tmux('kill-server');
    }
  });
});
