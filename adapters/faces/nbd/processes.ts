// Processes of this host, told apart also where their numbers are used again.

import { readFileSync } from 'node:fs';

/** A process, for as long as it runs. */
export interface ProcessMark {
  readonly pid: number;
  /** When it began, in the kernel's ticks since the host did. */
  readonly startTicks: string;
}

/** Of the fields after the name, which may hold anything. */
const STATE = 0;
const START_TICKS = 19;

/** The mark of a process that runs; null: there is none of that number. */
export function processMark(pid: number): ProcessMark | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const startTicks = fields[START_TICKS];
    return startTicks === undefined || fields[STATE] === 'Z' ? null : { pid, startTicks };
  } catch {
    return null;
  }
}

/** Whether a process runs still. */
export const isRunning = ({ pid, startTicks }: ProcessMark): boolean =>
  processMark(pid)?.startTicks === startTicks;
