// The guards of guests that are recorded (adapters/guests/qemu/guard-process.ts), found from outside.

import { readdirSync, readFileSync } from 'node:fs';

/** What /proc says in a file of a process; nothing of one that has gone. */
function told(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1');
  } catch {
    return '';
  }
}

/** The process ids of the guards that this recorder has begun. */
export const guardsOf = (recorder: number): number[] =>
  readdirSync('/proc')
    .filter((pid) => /^\d+$/u.test(pid))
    .filter((pid) => told(pid, 'status').includes(`\nPPid:\t${recorder}\n`))
    .filter((pid) => told(pid, 'cmdline').includes('guard-process.js'))
    .map(Number);

/** Kills them. */
export function killGuards(recorder: number): void {
  for (const guard of guardsOf(recorder)) process.kill(guard, 'SIGKILL');
}
