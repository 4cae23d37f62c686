// Words of `resume` that do not go together.

import { expect, test } from '@jest/globals';
import { LedgerCommands } from '../../support/command-line.ts';

const AT = ['--vm', 'guest', '--at', '@2'];
const LINE = ['--', 'qemu-system-x86_64', '-m', '128'];

test.each([
  [...AT, '--eager', '--on-demand-only', ...LINE],
  ['--at', '@2', ...LINE],
  ['--recover', 'socket', ...AT],
  ['--recover', 'socket', ...LINE],
  ['--recover', 'socket', '--trace'],
  [...AT, '--trace', '--on-demand-only', ...LINE],
  [...AT, '--trace', '--sample', '3', ...LINE],
  [...AT, '--trace', '--threshold', '3', ...LINE],
  [...AT, '--interval', '3s', ...LINE],
])('resume %s %s %s %s %s is bad usage', async (...words) => {
  const commands = new LedgerCommands('nowhere');
  const { exitCode, stderr } = await commands.run(['--json', 'resume', ...words]);
  const { error } = JSON.parse(stderr) as { error: { code: string } };
  expect([exitCode, error.code]).toEqual([2, 'BAD_USAGE']);
});
