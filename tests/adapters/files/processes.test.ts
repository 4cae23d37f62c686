// What this host says of its processes: who is there, since when, and who has ended.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from '@jest/globals';
import { lookUp, thisHolder, thisHost } from '../../../adapters/files/processes.ts';
import { fateOf } from '../../../domain/values/lease.ts';

test('this process holds what it holds, and lives', () => {
  const holder = thisHolder();
  expect(holder).toMatchObject({ ...thisHost(), process: process.pid });
  expect(holder.boot).toMatch(/^[0-9a-f-]{36}$/u);
  expect(holder.space).toMatch(/^pid:\[\d+\]/u);
  expect(lookUp(process.pid)).toEqual({ started: holder.started });
  expect(fateOf(holder, thisHost(), lookUp)).toBe('alive');
});

test('a process is another one than this, until it has ended', async () => {
  const child = spawn('sleep', ['60']);
  const holder = { ...thisHolder(), process: child.pid!, started: lookUp(child.pid!)!.started };
  expect(fateOf(holder, thisHost(), lookUp)).toBe('alive');
  expect(fateOf({ ...holder, started: holder.started! - 1 }, thisHost(), lookUp)).toBe('dead');
  child.kill('SIGKILL');
  await once(child, 'exit');
  expect(lookUp(child.pid!)).toBeNull();
  expect(fateOf(holder, thisHost(), lookUp)).toBe('dead');
});

test('a process that has ended and that nobody has waited for is none', async () => {
  // The shell becomes a program that never waits for the child that it started before.
  const parent = spawn('sh', ['-c', 'sleep 0 & echo $!; exec sleep 60']);
  const [line] = (await once(parent.stdout, 'data')) as [Buffer];
  const child = Number(line.toString());
  while (lookUp(child) !== null) await new Promise((resolve) => setTimeout(resolve, 5));
  expect(process.kill(child, 0)).toBe(true);
  parent.kill('SIGKILL');
  await once(parent, 'exit');
});
