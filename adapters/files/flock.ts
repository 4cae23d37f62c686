// Locks of files by flock(2). Node.js has no such call, so util-linux's `flock` takes the lock on an
// open file that it shares with us: the lock belongs to that open file, stays when the command has
// ended, is seen from every namespace and container that has the file, and ends with our process,
// however it ends. Costs a process that lives for some milliseconds.

import { close } from 'node:fs';
import { failureOf } from './failures.ts';
import type { Locked, LockRequest } from './file-port.ts';
import { openDescriptor } from './node-file.ts';
import { call, noValue } from './system-calls.ts';

const LOCKED = 0;
const BUSY = 1;

const unavailable = (reason: string): Locked => ({ _tag: 'unavailable', reason });

/** Lets the command take the lock on a descriptor: its exit code, or why it has none. */
async function flock(fd: number, { kind, waitS }: LockRequest): Promise<number | string> {
  // Most command lines lock nothing, and it takes them time to load.
  const { spawn } = await import('node:child_process');
  const wait = waitS === undefined ? ['-n'] : ['-w', `${waitS}`];
  return new Promise((resolve) => {
    const command = spawn('flock', [kind === 'shared' ? '-s' : '-x', ...wait, '3'], {
      stdio: ['ignore', 'ignore', 'ignore', fd],
    });
    command.on('error', (error) => {
      resolve(`the command flock, of util-linux, cannot be run: ${error.message}`);
    });
    command.on('exit', (code, signal) => {
      resolve(code ?? `the command flock was ended by ${signal}`);
    });
  });
}

/** Locks a file of this machine's disk. */
export async function lockNow(path: string, request: LockRequest): Promise<Locked> {
  let fd: number;
  try {
    fd = await openDescriptor(path, 'create');
  } catch (thrown) {
    return unavailable(failureOf(thrown, { operation: 'open', path }).message);
  }
  const release = (): Promise<void> =>
    call('close', path, (done) => {
      close(fd, noValue(done));
    });
  const ended = await flock(fd, request);
  if (ended === LOCKED) return { _tag: 'lock', release };
  await release();
  if (ended === BUSY) return { _tag: 'busy' };
  return unavailable(
    typeof ended === 'string' ? ended : `the file system of ${path} has no locks (flock: ${ended})`,
  );
}
