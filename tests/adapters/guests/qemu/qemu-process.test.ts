import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { processOfSocket, stateOf } from '../../../../adapters/guests/qemu/qemu-process.ts';
import { withTemporaryFolder } from '../../../support/disks/temporary-folder.ts';

/** Listens at a path relative to its folder, and goes away from there, as QEMU does with -daemonize. */
const LISTEN_AND_GO = `
  require('node:net').createServer().listen(process.argv[1], () => {
    process.chdir('/');
    console.log('gone');
  });`;

describe('the process behind a socket', () => {
  const children: ChildProcess[] = [];
  afterEach(() => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
  });

  async function listening(cwd: string, path: string): Promise<number> {
    mkdirSync(cwd, { recursive: true });
    const child = spawn(process.execPath, ['-e', LISTEN_AND_GO, path], { cwd, stdio: 'pipe' });
    children.push(child);
    await once(child.stdout, 'data');
    return child.pid!;
  }

  test('is found by the end of the path where it has left the folder, unless several may be meant', () =>
    withTemporaryFolder(async (folder) => {
      const [one, two] = [join(folder, 'one'), join(folder, 'two')];
      const name = `guest-${process.pid}.qmp`;
      const pid = await listening(one, name);
      expect((await processOfSocket(join(one, name))).process?.pid).toBe(pid);
      await listening(two, `./${name}`);
      const { process: found, reason } = await processOfSocket(join(one, name));
      expect([found, reason]).toEqual([null, expect.stringMatching(/^2 processes have left/u)]);
      // By its whole path each is known.
      const whole = join(two, 'whole.qmp');
      expect((await processOfSocket(whole)).process).toBe(null);
      expect(await listening(two, whole)).toBe((await processOfSocket(whole)).process?.pid);
    }));
});

describe('what the kernel says of a process', () => {
  let child: ChildProcess;
  afterEach(() => {
    child.kill('SIGKILL');
  });

  async function untilState(pid: number, state: string): Promise<string> {
    while (stateOf(pid) !== state) await sleep(5);
    return state;
  }

  test('is that it lives, and then that it was stopped', async () => {
    child = spawn('sleep', ['60']);
    expect(stateOf(child.pid!)).toBe('alive');
    child.kill('SIGSTOP');
    expect(await untilState(child.pid!, 'stopped')).toBe('stopped');
  });

  test('is that it is ending, once its first thread has ended', async () => {
    // A child that its parent never looks after: that has become another program when the child ends.
    child = spawn('sh', ['-c', 'sleep 1 & echo $!; exec sleep 60'], { stdio: 'pipe' });
    const [text] = (await once(child.stdout!, 'data')) as [Buffer];
    expect(await untilState(Number(text), 'ending')).toBe('ending');
  });

  test('is that it is ending, once it was sent what it has yet to hear of', async () => {
    // It is stopped, and so takes no signal.
    child = spawn('sleep', ['60']);
    child.kill('SIGSTOP');
    await untilState(child.pid!, 'stopped');
    child.kill('SIGTERM');
    expect(stateOf(child.pid!)).toBe('stopped');
    child.kill('SIGABRT');
    expect(await untilState(child.pid!, 'ending')).toBe('ending');
  });

  test('is nothing of one that is not there', () => {
    child = spawn('sleep', ['60']);
    expect(stateOf(2 ** 31 - 1)).toBe('alive');
  });
});
