// Processes of this host, told apart also where their numbers are used again.

import { lookUp } from '../../wiring/processes.ts';

/** A process, for as long as it runs. */
export interface ProcessMark {
  readonly pid: number;
  /** When it began, in the kernel's ticks since the host did; null: that cannot be read. */
  readonly startTicks: string | null;
}

const ticksText = (started: number | null): string | null =>
  started === null ? null : String(started);

/** The mark of a process. */
export const processMark = (pid: number): ProcessMark => ({
  pid,
  startTicks: ticksText(lookUp(pid)?.started ?? null),
});

/** Whether a process runs still; one that cannot be told apart runs while any does of its number. */
export function isRunning({ pid, startTicks }: ProcessMark): boolean {
  const found = lookUp(pid);
  if (found === null) return false;
  const now = ticksText(found.started);
  return startTicks === null || now === null || now === startTicks;
}
