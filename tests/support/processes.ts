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
