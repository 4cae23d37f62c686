// Which processes there are on this host.

import { readdirSync, readFileSync } from 'node:fs';

/** Numbers of processes whose command line has this in it, of any user. */
export function processesWith(mark: string): string[] {
  return readdirSync('/proc').filter((entry) => {
    if (!/^\d+$/u.test(entry)) return false;
    try {
      return readFileSync(`/proc/${entry}/cmdline`, 'latin1').includes(mark);
    } catch {
      return false;
    }
  });
}

/** The process that started one, or null: it has ended. Its name, in brackets before that, may hold anything. */
function parentOf(pid: string): number | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const [, parent] = /^\) \S (\d+) /u.exec(stat.slice(stat.lastIndexOf(')'))) ?? [];
    return Number(parent);
  } catch {
    return null;
  }
}

/** Ends all that a process has started, and what these have. */
export function endProcessesOf(pid: number): void {
  const all = readdirSync('/proc')
    .filter((entry) => /^\d+$/u.test(entry))
    .map((entry) => ({ pid: Number(entry), parent: parentOf(entry) }));
  const startedBy = (of: number): number[] =>
    all.flatMap((each) => (each.parent === of ? [each.pid] : []));
  const left = startedBy(pid);
  for (const each of left) left.push(...startedBy(each));
  for (const each of left)
    try {
      process.kill(each, 'SIGKILL');
    } catch {
      // It has ended meanwhile.
    }
}
