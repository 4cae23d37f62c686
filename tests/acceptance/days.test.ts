// The days of users that docs/days tells of, run as they stand there: each command, and what it printed. The
// fourth user's, of the library, is docs/library.md (installed-package.test.ts).

import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, jest, test } from '@jest/globals';
import { COMMAND_LINE } from '../support/command-line.ts';
import { sourceRoot } from '../support/source-root.ts';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';

jest.setTimeout(180_000);

const DAYS = join(sourceRoot(), 'docs/days');

interface Told {
  readonly command: string;
  readonly printed: readonly string[];
}

/** The commands of a page, and what it says they print. */
function toldIn(text: string): Told[] {
  const blocks = [...text.matchAll(/^```console\n(.*?)^```$/gmsu)].map(([, block]) => block!);
  return blocks
    .flatMap((block) => block.split(/^\$ /mu).slice(1))
    .map((part) => {
      const [command, ...printed] = part.trimEnd().split('\n');
      return { command: command!, printed };
    });
}

/** What matches a line in which `...` is whatever it is. */
const patternOf = (line: string): RegExp =>
  new RegExp(
    `^${line
      .split('...')
      .map((part) => part.replaceAll(/[$()*+.?[\\\]^{|}]/gu, String.raw`\$&`))
      .join('.*')}$`,
    'u',
  );

test.each(readdirSync(DAYS))('%s is told as it goes', async (name) => {
  const told = toldIn(readFileSync(join(DAYS, name), 'utf8'));
  expect(told.length).toBeGreaterThan(8);
  const folder = await makeTemporaryFolder();
  const MARK = '@@@@';
  const script = told.map(({ command }) => `{ ${command}\n} 2>&1; echo '${MARK}'`).join('\n');
  const { stdout } = spawnSync(
    'bash',
    ['-c', `pageledger() { "$NODE" "$MAIN" "$@"; }\n${script}`],
    {
      cwd: folder.path,
      encoding: 'utf8',
      env: { ...process.env, NODE: process.execPath, MAIN: COMMAND_LINE, PAGELEDGER: '' },
    },
  );
  await folder.remove();
  const printed = stdout.split(`${MARK}\n`).slice(0, -1);
  expect(printed).toHaveLength(told.length);
  for (const [i, { command, printed: lines }] of told.entries()) {
    const found = printed[i]!.trimEnd()
      .split('\n')
      .filter((line) => line !== '');
    const wanted = lines.map((line) => expect.stringMatching(patternOf(line)));
    expect([command, ...found]).toEqual([command, ...wanted]);
  }
});
