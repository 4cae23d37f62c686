// A recorder for days: a guest that shuts down ends it well, and one that is followed is waited for, however
// it went. The guests are QEMU with nothing to boot: what is recorded is its firmware's memory.

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, jest, test } from '@jest/globals';
import { LedgerCommands } from '../support/command-line.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../support/temporary-folder.ts';
import { describeWithPrograms } from '../support/tools.ts';

const QEMU = 'qemu-system-x86_64';
jest.setTimeout(120_000);

let folder: TemporaryFolder;
let commands: LedgerCommands;
const guests: ChildProcess[] = [];
beforeAll(async () => {
  folder = await makeTemporaryFolder();
  commands = new LedgerCommands(join(folder.path, 'ledger'));
});
afterEach(() => {
  for (const guest of guests.splice(0)) guest.kill('SIGKILL');
});
afterAll(() => folder.remove());

const socketOf = (name: string): string => join(folder.path, `${name}.qmp`);

function startGuest(name: string): ChildProcess {
  const qmp = `unix:${socketOf(name)},server=on,wait=off`;
  const words = ['-machine', 'pc', '-m', '16', '-display', 'none', '-serial', 'none'];
  const guest = spawn(QEMU, [...words, '-net', 'none', '-qmp', qmp], { stdio: 'ignore' });
  guests.push(guest);
  return guest;
}

async function endOf(guest: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  const exited = once(guest, 'exit');
  guest.kill(signal);
  await exited;
}

/** Records a guest from when it is there on, in a process of its own. */
const record = (name: string, ...more: string[]) =>
  commands.start([
    '--json',
    'record',
    'qemu',
    '--vm',
    name,
    '--qmp',
    socketOf(name),
    '--every',
    '200ms',
    ...more,
  ]);

describeWithPrograms('a guest that is recorded until it ends', [QEMU], () => {
  test('and shuts down, ends the recording well; one that is lost does not', async () => {
    const first = startGuest('once');
    const followed = ['--follow-guest'];
    const recorder = record('once', ...followed, '--count', '2');
    expect((await recorder.ended).exitCode).toBe(0);
    const again = record('once');
    await again.until((command) => command.rows().length >= 2);
    await endOf(first, 'SIGTERM');
    const { exitCode, stderr } = await again.ended;
    expect([exitCode, stderr]).toEqual([0, expect.stringContaining('once has shut down')]);
    expect(await commands.json('captures', '--vm', 'once')).toHaveLength(2 + again.rows().length);

    const second = startGuest('once');
    const lost = record('once', ...followed);
    await lost.until((command) => command.rows().length >= 1);
    lost.signal('SIGINT');
    expect((await lost.ended).exitCode).toBe(0);
    const last = record('once');
    await last.until((command) => command.rows().length >= 1);
    await endOf(second, 'SIGKILL');
    expect((await last.ended).exitCode).toBe(6);
  });

  test('and is followed, is waited for, however it went, and recorded on', async () => {
    const recorder = record('back', '--follow-guest');
    await recorder.until(({ stderr }) => stderr.includes('not there; waiting'));
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      const before = recorder.rows().length;
      const guest = startGuest('back');
      await recorder.until((command) => command.rows().length >= before + 2);
      await endOf(guest, signal);
    }
    recorder.signal('SIGINT');
    const { exitCode, stderr } = await recorder.ended;
    expect([exitCode, stderr]).toEqual([0, expect.stringContaining('back is there again')]);
    const captures = (await commands.json('captures', '--vm', 'back')).map((row) => row['capture']);
    expect(captures).toEqual(recorder.rows().map((row) => row['capture']));
    const [summary] = await commands.json('verify');
    expect(summary).toMatchObject({ damaged: 0 });
  });
});
