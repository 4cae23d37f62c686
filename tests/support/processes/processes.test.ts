import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from '@jest/globals';
import { stateOf } from '../../../adapters/guests/qemu/qemu-process.ts';
import { endProcessesOf, processesWith } from './processes.ts';

test('all that a process has started is ended, and it is not', async () => {
  const mark = `pageledger-left-${process.pid}`;
  const inner = `exec -a ${mark} sleep 600 & exec -a ${mark} sleep 600`;
  const child = spawn('bash', ['-c', `bash -c '${inner}' & echo begun; read`], { stdio: 'pipe' });
  await once(child.stdout, 'data');
  while (processesWith(`${mark}\0`).length < 2);
  endProcessesOf(child.pid!);
  const areThere = (): boolean =>
    processesWith(`${mark}\0`).some((pid) => stateOf(Number(pid)) === 'alive');
  while (areThere());
  expect(stateOf(child.pid!)).toBe('alive');
  child.stdin.end();
  await once(child, 'exit');
  expect(child.exitCode).toBe(1);
});
