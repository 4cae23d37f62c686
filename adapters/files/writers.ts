// Whether a process can write to a file that lies open here: has it open to write, or has it mapped so.
//
// The system tells who asks for a lease to read (fcntl(2), F_SETLEASE), which is had only while nobody
// can write to the file, in whatever namespace or container. It is given back at once: whoever opens the
// file to write meanwhile waits for that, and the signal that tells of them is one that nothing is done
// about. Others' files, files that have no leases, and systems without are looked for in what processes
// of the same user have mapped.

import { fstatSync, readdirSync, readFileSync } from 'node:fs';
import { constants, platform } from 'node:os';
import { libc } from './libc.ts';

/** Of <fcntl.h> on Linux. */
const F_SETSIG = 10;
const F_SETLEASE = 1024;
const F_RDLCK = 0;
const F_UNLCK = 2;

const { EAGAIN } = constants.errno;

/** Whether a lease to read is refused as somebody can write; null: there are no leases of this file. */
async function hasWriters(fd: number): Promise<boolean | null> {
  if (platform() !== 'linux') return null;
  const fcntl = await libc().then(
    (calls) => calls.fcntl,
    () => null,
  );
  if (fcntl === null || fcntl(fd, F_SETSIG, constants.signals.SIGURG) !== 0) return null;
  const errno = fcntl(fd, F_SETLEASE, F_RDLCK);
  if (errno === 0) fcntl(fd, F_SETLEASE, F_UNLCK);
  return errno === 0 || errno === EAGAIN ? errno === EAGAIN : null;
}

/** A file of /proc; empty where it cannot be read, as its process has ended or is another user's. */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** Whether a process that is seen has it mapped to write to. O(processes). */
function isMappedToWrite(fd: number): boolean {
  const { dev, ino } = fstatSync(fd, { bigint: true });
  const minor = (dev & 0xffn) | ((dev >> 12n) & 0xfff00n);
  const major = (dev >> 8n) & 0xfffn;
  const hex = (part: bigint): string => part.toString(16).padStart(2, '0');
  const mapped = new RegExp(`^\\S+ .w.s \\S+ ${hex(major)}:${hex(minor)} ${ino} `, 'mu');
  return readdirSync('/proc').some(
    (name) => /^\d+$/u.test(name) && mapped.test(textOf(`/proc/${name}/maps`)),
  );
}

/** Whether somebody may be able to write to a file that is open here to read, and not to write. */
export const mayHaveWriters = async (fd: number): Promise<boolean> =>
  (await hasWriters(fd)) ?? isMappedToWrite(fd);
