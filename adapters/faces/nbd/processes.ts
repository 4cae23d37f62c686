// Processes of this host, told apart also where their numbers are used again.

import { lookUp } from '../../wiring/processes.ts';

/** A process, for as long as it runs. */
export interface ProcessMark {
  readonly pid: number;
  /** When it began, in the kernel's ticks since the host did. */
  readonly startTicks: string;
}

/** The mark of a process that runs; null: there is none of that number, or it cannot be told apart. */
export function processMark(pid: number): ProcessMark | null {
  const started = lookUp(pid)?.started ?? null;
  return started === null ? null : { pid, startTicks: String(started) };
}

/** Whether a process runs still. */
export const isRunning = ({ pid, startTicks }: ProcessMark): boolean =>
  processMark(pid)?.startTicks === startTicks;
