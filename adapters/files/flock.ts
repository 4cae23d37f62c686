// Locks of files by flock(2), without waiting for them in the system. To let the command `flock` take the
// lock on an open file that it shares with us would do too, but to start a command copies what this
// process maps, and each page that is written afterwards is copied or faulted in again, which costs a
// recorder of 300 MiB some 150 ms.
//
// A lock belongs to the open file: it is seen from every namespace and container that has the file, and
// ends with our process, however it ends.

import { close } from 'node:fs';
import { constants } from 'node:os';
import { setTimeout } from 'node:timers/promises';
import { failureOf } from './failures.ts';
import type { Locked, LockRequest } from './file-port.ts';
import { libc } from './libc.ts';
import { openDescriptor } from './node-file.ts';
import { call, noValue } from './system-calls.ts';

/** Of <sys/file.h>, on every system that has the call. */
const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;
/** A lock that another one holds is asked for again so much later. */
const LOOK_AGAIN_MS = 20;

const { EINTR, EWOULDBLOCK } = constants.errno;

const unavailable = (reason: string): Locked => ({ _tag: 'unavailable', reason });

/** Takes the lock on a descriptor: 0, or the number of the error. */
async function lockDescriptor(fd: number, { kind, waitS = 0 }: LockRequest): Promise<number> {
  const { flock } = await libc();
  const operation = (kind === 'shared' ? LOCK_SH : LOCK_EX) | LOCK_NB;
  const untilMs = performance.now() + waitS * 1000;
  for (;;) {
    const errno = flock(fd, operation);
    if (errno === EINTR) continue;
    if (errno !== EWOULDBLOCK || performance.now() >= untilMs) return errno;
    await setTimeout(LOOK_AGAIN_MS);
  }
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
  const ended = await lockDescriptor(fd, request).catch((thrown: unknown) =>
    thrown instanceof Error ? thrown.message : String(thrown),
  );
  if (ended === 0) return { _tag: 'lock', release };
  await release();
  if (ended === EWOULDBLOCK) return { _tag: 'busy' };
  return unavailable(
    typeof ended === 'string'
      ? `flock(2) cannot be called: ${ended}`
      : `the file system of ${path} has no locks (flock: error ${ended})`,
  );
}
