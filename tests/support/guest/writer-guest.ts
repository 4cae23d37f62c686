// A guest in which a program writes to a known number of pages, round after round, and whose kernel is
// asked how many of its pages the program has touched.

import type { DemoGuest } from '../../../adapters/guests/demo-guest/start-guest.ts';
import { startShellGuest, type ProcGuestRequest } from './proc-guest.ts';
import { writerProgram } from './writer-program.ts';

/** Pages that the program holds, and those of them that it writes to. */
export const HELD_PAGES = 1500;
export const WRITTEN_PAGES = 613;

/** What the kernel says of the mapping of that size: how much of it was touched since it last forgot. */
const INIT = `#!/bin/sh
mount -t proc proc /proc
mount -t devtmpfs dev /dev 2>/dev/null
mkfifo /fifo
exec 3<>/fifo >/dev/console 2>&1
writer &
w=$!
read -t 3 x <&3
while :; do
  echo 1 > /proc/$w/clear_refs
  read -t 3 x <&3
  size=
  while read -r key value rest; do
    [ "$key" = Size: ] && size=$value
    [ "$key" = Referenced: ] && [ "$size" = ${HELD_PAGES * 4} ] && echo "TOUCHED $w $value"
  done < /proc/$w/smaps
done
`;

/** Starts one; right when its control socket is there. */
export const startWriterGuest = (request: ProcGuestRequest): Promise<DemoGuest> =>
  startShellGuest(request, {
    init: INIT,
    programs: [
      {
        name: 'writer',
        content: writerProgram({ pages: HELD_PAGES, written: WRITTEN_PAGES, pauseMs: 200 }),
      },
    ],
    // In large pages all of a page is touched at once.
    append: 'transparent_hugepage=never',
  });

/** What its kernel said last: the writer's pid, and how many pages it had touched. */
export function toldTouched(lines: readonly string[]): { pid: number; pages: number } | null {
  const match = lines.map((line) => /^TOUCHED (\d+) (\d+)$/u.exec(line)).findLast(Boolean);
  return match === undefined || match === null
    ? null
    : { pid: Number(match[1]), pages: Number(match[2]) / 4 };
}

/** How many rounds its program has said. */
export const roundsOf = (lines: readonly string[]): number =>
  lines.filter((line) => line === 'W').length;
