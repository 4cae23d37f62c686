import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from '@jest/globals';
import { stateOf } from '../../../../adapters/guests/qemu/qemu-process.ts';

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
