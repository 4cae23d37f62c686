// A recorder for days: a guest that shuts down ends it well, and one that is followed is waited for, however
// it went; all guests of a folder at once; and units that keep them running. The guests are QEMU with nothing to boot: what is recorded is its firmware's memory.

import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { COMMAND_LINE, jsonRows, LedgerCommands } from '../../support/command-line.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';
import { describeWithPrograms } from '../../support/tools.ts';
import { testLong } from '../../support/test-long.ts';

const QEMU = 'qemu-system-x86_64';

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

function startGuest(name: string, ...more: string[]): ChildProcess {
  const qmp = `unix:${socketOf(name)},server=on,wait=off`;
  const words = ['-machine', 'pc', '-m', '16', '-display', 'none', '-serial', 'none'];
  const guest = spawn(QEMU, [...words, ...more, '-net', 'none', '-qmp', qmp], { stdio: 'ignore' });
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
    // Nothing of a capture is left behind in the recorder: Node.js warns where its eleventh listener comes.
    await again.until((command) => command.rows().length >= 12);
    await endOf(first, 'SIGTERM');
    const { exitCode, stderr } = await again.ended;
    expect(stderr).not.toContain('Warning');
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

  testLong('and is followed, is waited for, however it went, and recorded on', async () => {
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

  test('and has a UUID, is told of under a second name; another one is not followed', async () => {
    const [one, two] = [
      '1b4e28ba-2fa1-11d2-883f-0016d3cca427',
      '6fa459ea-ee8a-3ca4-894e-db77e160355e',
    ];
    const first = startGuest('known', '-uuid', one);
    const toOne = ['--follow-guest', '--count', '1'];
    const again = ['--vm', 'second', '--qmp', socketOf('known'), '--count', '1'];
    const named = await record('known', ...toOne).ended;
    expect([named.exitCode, named.stderr]).toEqual([0, expect.not.stringContaining('UUID')]);
    const renamed = await commands.run(['record', 'qemu', ...again]);
    expect([renamed.exitCode, renamed.stderr]).toEqual([
      0,
      expect.stringContaining(`UUID (${one}) of VM known`),
    ]);
    await endOf(first, 'SIGTERM');
    startGuest('known', '-uuid', two);
    const refused = await record('known', ...toOne).ended;
    expect([refused.exitCode, refused.stderr]).toEqual([
      1,
      expect.stringContaining('ANOTHER_GUEST'),
    ]);
    expect((await record('known', '--count', '1').ended).exitCode).toBe(0);
    expect((await record('known', ...toOne).ended).exitCode).toBe(0);
  });

  test('and is one of a folder, is recorded beside the others, coming and going', async () => {
    const guestsOf = join(folder.path, 'guests');
    mkdirSync(guestsOf);
    writeFileSync(join(guestsOf, 'no-socket.qmp'), '');
    const [one, two] = [startGuest('guests/one'), startGuest('guests/two')];
    const unnamed = createServer().listen(join(guestsOf, 'no name.qmp'));
    const all = ['record', 'qemu', '--all', guestsOf, '--every', '200ms'];
    const recorder = commands.start(['--json', ...all]);
    const of = (vm: string) => recorder.rows().filter((row) => row['vm'] === vm);
    await recorder.until(() => of('one').length >= 2 && of('two').length >= 2);
    const three = startGuest('guests/three');
    await recorder.until(() => of('three').length >= 1);
    await endOf(one, 'SIGTERM');
    await endOf(two, 'SIGKILL');
    const before = of('two').length;
    startGuest('guests/two');
    await recorder.until(() => of('two').length >= before + 2);
    await endOf(three, 'SIGTERM');
    recorder.signal('SIGTERM');
    const { exitCode, stdout, stderr } = await recorder.ended;
    unnamed.close();
    expect([exitCode, stderr]).toEqual([0, expect.stringContaining('no name of a VM')]);
    const summary = jsonRows(stdout).at(-1);
    expect(summary).toMatchObject({
      summary: 'record',
      vm: null,
      vms: 3,
      captures: recorder.rows().length,
    });
    for (const vm of ['one', 'two', 'three']) {
      const captures = (await commands.json('captures', '--vm', vm)).map((row) => row['capture']);
      expect(captures).toEqual(of(vm).map((row) => row['capture']));
    }
    const [checked] = await commands.json('verify');
    expect(checked).toMatchObject({ damaged: 0 });
  });

  test('of a folder or by name, but not both', async () => {
    const refused = async (...words: string[]): Promise<void> =>
      expect(await commands.errorOf('record', 'qemu', ...words)).toEqual([2, 'BAD_USAGE']);
    await refused('--all', folder.path, '--vm', 'one');
    await refused('--all', folder.path, '--count', '2');
    await refused('--qmp', socketOf('one'));
    const absent = ['record', 'qemu', '--all', join(folder.path, 'absent')];
    expect(await commands.errorOf(...absent)).toEqual([5, 'NOT_FOUND']);
  });
});

const UNITS = fileURLToPath(new URL('../../../../examples/systemd', import.meta.url));

describeWithPrograms('the unit files of the examples', ['systemd-analyze'], () => {
  test('are units that systemd takes', () => {
    for (const unit of readdirSync(UNITS)) {
      const path = join(folder.path, unit);
      // The program is not installed here.
      const text = readFileSync(join(UNITS, unit), 'utf8').replaceAll(
        '/usr/local/bin/pageledger',
        '/bin/true',
      );
      writeFileSync(path, text);
    }
    const units = readdirSync(UNITS).map((unit) => join(folder.path, unit));
    const { status, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', ...units], {
      encoding: 'utf8',
    });
    expect([status, stderr]).toEqual([0, '']);
  });
});

test('the unit files of the examples say what the command line takes', () => {
  const lines = readdirSync(UNITS).flatMap((unit) =>
    readFileSync(join(UNITS, unit), 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('ExecStart=')),
  );
  expect(lines).toHaveLength(4);
  for (const line of lines) {
    const words = line.replace('ExecStart=', '').replaceAll('%i', 'web').split(' ').slice(1);
    const help = spawnSync(process.execPath, [COMMAND_LINE, ...words, '--help'], {
      encoding: 'utf8',
    });
    expect([line, help.status]).toEqual([line, 0]);
    for (const word of words.filter((each) => each.startsWith('--')))
      expect(help.stdout).toContain(word);
  }
});
