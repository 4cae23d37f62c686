// What a Linux host says of itself and of its processes: which start of it this is, where numbers of
// processes mean the same, and when a process started. Elsewhere it says nothing of these.

import { createHash } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import type { Holder, Host, ProcessLook } from '../../domain/values/lease.ts';
import { errnoOf } from './failures.ts';

/** What the system gives; null: it does not. */
function given(read: () => string): string | null {
  try {
    return read().trim() || null;
  } catch {
    return null;
  }
}

/** The system's own number is no one else's to know: a digest of it is told. */
const machineOf = (number: string): string =>
  createHash('sha256').update(`pageledger ${number}`).digest('hex').slice(0, 32);

/** The host of this process. */
export function thisHost(): Host {
  const machine = given(() => readFileSync('/etc/machine-id', 'latin1'));
  const process = given(() => readlinkSync('/proc/self/ns/pid'));
  const time = given(() => readlinkSync('/proc/self/ns/time'));
  return {
    host: hostname(),
    machine: machine === null ? null : machineOf(machine),
    boot: given(() => readFileSync('/proc/sys/kernel/random/boot_id', 'latin1')),
    space: process === null ? null : [process, time ?? ''].join(' ').trim(),
  };
}

/** Behind the name, which may hold anything: the state is the first field, the start the twentieth. */
const STARTED_FIELD = 19;

/** A process's state and its start, in ticks; null: it cannot be read. */
function statOf(process: number): { readonly state: string; readonly started: number } | null {
  const text = given(() => readFileSync(`/proc/${process}/stat`, 'latin1'));
  if (text === null) return null;
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return { state: fields[0]!, started: Number(fields[STARTED_FIELD]) };
}

/** Whether there is a process of a number: one of another user is there as well. */
function isThere(number: number): boolean {
  try {
    process.kill(number, 0);
    return true;
  } catch (thrown) {
    return errnoOf(thrown) !== 'ESRCH';
  }
}

/** Looks a process of this host up. One that has ended, and that nobody has taken note of, is none. */
export const lookUp: ProcessLook = (number) => {
  if (!isThere(number)) return null;
  const found = statOf(number);
  if (found === null) return { started: null };
  return /^[ZXx]$/u.test(found.state) ? null : { started: found.started };
};

/** A process of this host, as one that holds points. */
export const holderOf = (number: number): Holder => ({
  ...thisHost(),
  process: number,
  started: statOf(number)?.started ?? null,
});

/** This process, as one that holds points. */
export const thisHolder = (): Holder => holderOf(process.pid);
