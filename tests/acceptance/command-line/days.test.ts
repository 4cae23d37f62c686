// The days of users that docs/days tells of, run as they stand there: each command, and what it printed. The
// fourth user's, of the library, is docs/library.md (installed-package.test.ts).

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, jest, test } from '@jest/globals';
import { QEMU_PROGRAM } from '../../../adapters/guests/demo-guest/tools.ts';
import { COMMAND_LINE } from '../../support/command-line.ts';
import { findTools } from '../../support/guest/real-guest.ts';
import { sourceRoot } from '../../support/sources/source-root.ts';
import { makeTemporaryFolder } from '../../support/disks/temporary-folder.ts';
import { describeWithPrograms } from '../../support/tools.ts';
import { IS_LONG } from '../../support/long-run.ts';

/** For a day with a guest, on a busy machine. */
const RUN_MS_MAX = 900_000;
jest.setTimeout(2 * RUN_MS_MAX);

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

/** What the words of a day need beside Node.js; another day needs nothing. */
const NEEDED: ReadonlyMap<string, readonly string[]> = new Map([
  ['kernel-developer.md', [QEMU_PROGRAM, 'busybox', 'cpio', 'gdb']],
]);
const found = await findTools();

/** Runs commands, one after the other, and gives what each printed, blank lines apart. */
async function printedBy(commands: readonly string[]): Promise<string[][]> {
  const folder = await makeTemporaryFolder();
  const bin = join(folder.path, '.bin');
  mkdirSync(bin);
  const program = `#!/bin/sh\nexec '${process.execPath}' '${COMMAND_LINE}' "$@"\n`;
  writeFileSync(join(bin, 'pageledger'), program, { mode: 0o755 });
  const MARK = '@@@@';
  const script = commands.map((command) => `{ ${command}\n} 2>&1; echo '${MARK}'`).join('\n');
  const { stdout } = spawnSync('bash', ['-c', script], {
    cwd: folder.path,
    encoding: 'utf8',
    timeout: RUN_MS_MAX,
    env: {
      ...process.env,
      PATH: `${bin}:${process.env['PATH']}`,
      KERNEL: found.tools?.kernel ?? '',
      PAGELEDGER: '',
    },
  });
  // A guest that was left running.
  const pid = join(folder.path, 'pid');
  if (existsSync(pid)) process.kill(Number(readFileSync(pid, 'utf8')), 'SIGKILL');
  await folder.remove();
  const printed = stdout.split(`${MARK}\n`).slice(0, -1);
  return printed.map((text) => text.split('\n').filter((line) => line.trim() !== ''));
}

test("the README's compaction is one of a day", () => {
  const readme = readFileSync(join(sourceRoot(), 'README.md'), 'utf8');
  const [, shown] = /^\$ pageledger compact\n(.*?)^\$ /msu.exec(readme)!;
  const day = toldIn(readFileSync(join(DAYS, 'fleet-engineer.md'), 'utf8'));
  const { printed } = day.findLast(({ command }) => command === 'pageledger compact')!;
  expect(shown!.trimEnd().split('\n')).toEqual(
    printed.map((line) => expect.stringMatching(patternOf(line))),
  );
});

for (const name of readdirSync(DAYS)) {
  const programs = NEEDED.get(name) ?? [];
  const kernel = programs.includes(QEMU_PROGRAM) ? [found.tools?.kernel ?? '/no/kernel'] : [];
  // A guest under a debugger has a suite in the usual run (time-travel-guest.test.ts).
  const suite = kernel.length > 0 && !IS_LONG ? describe.skip : describe;
  suite('a day', () => {
    describeWithPrograms(name, [...programs, ...kernel], () => {
      test('is told as it goes', async () => {
        const told = toldIn(readFileSync(join(DAYS, name), 'utf8'));
        expect(told.length).toBeGreaterThan(8);
        const printed = await printedBy(told.map(({ command }) => command));
        for (const [i, { command, printed: lines }] of told.entries()) {
          const wanted = lines.map((line) => expect.stringMatching(patternOf(line)));
          expect([command, ...(printed[i] ?? ['not run'])]).toEqual([command, ...wanted]);
        }
      });
    });
  });
}
