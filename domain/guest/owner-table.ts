// How many pages of a guest each owner has: free ones, those of files, of the kernel, and anonymous ones by
// the process that has them mapped (of several, the one with the lowest pid).

import { OWNERS, type Owner } from './page-owners.ts';
import type { TaskReader, Task } from './tasks.ts';
import { UserPages } from './user-pages.ts';
import type { PageRoot, PhysicalMemory } from './virtual-memory.ts';

/** An owner and its pages. */
export interface OwnedPages {
  readonly owner: Owner;
  /** Of anonymous pages, the process; null: no process has them mapped. */
  readonly pid: number | null;
  readonly command: string | null;
  readonly pages: number;
}

const ANONYMOUS = OWNERS.indexOf('anonymous');
const UNKNOWN = OWNERS.indexOf('unknown');
const NOBODY = 0;

/** Which process has each frame mapped: its place among the processes plus one, or 0. */
export async function mappedBy(
  of: { readonly physical: PhysicalMemory; readonly root: PageRoot },
  reader: TaskReader,
  tasks: readonly Task[],
): Promise<Uint32Array> {
  const { physical, root } = of;
  const mapped = new Uint32Array(physical.pages.frames);
  const walk = new UserPages(physical);
  for (const [i, task] of tasks.entries()) {
    const frame = await reader.rootOf(task);
    if (frame === null) continue;
    // Tables that a process before it has as well are not walked again.
    await walk.each({ ...root, frame }, (first, frames) => {
      for (let at = first; at < first + frames; at += 1)
        if (mapped[at] === NOBODY) mapped[at] = i + 1;
    });
  }
  return mapped;
}

/** Owners in the order of OWNERS, anonymous pages by pid, those of nobody last; without empty ones. */
export function ownerTable(of: {
  /** The frame of each page; null: no address leads to it. */
  readonly frames: Iterable<number | null>;
  readonly owners: Uint8Array;
  readonly mapped: Uint32Array;
  readonly tasks: readonly Task[];
}): readonly OwnedPages[] {
  const { owners, mapped, tasks } = of;
  const counts = new Float64Array(OWNERS.length);
  const anonymous = new Float64Array(tasks.length + 1);
  for (const frame of of.frames) {
    const owner = frame === null ? UNKNOWN : (owners[frame] ?? UNKNOWN);
    if (owner === ANONYMOUS && frame !== null) anonymous[mapped[frame]!]! += 1;
    else counts[owner]! += 1;
  }
  const processes = [...tasks.entries()].map(([i, { pid, command }]) => ({
    owner: OWNERS[ANONYMOUS]!,
    pid,
    command,
    pages: anonymous[i + 1]!,
  }));
  const ofNobody = { pid: null, command: null };
  return OWNERS.flatMap((owner, i): OwnedPages[] =>
    i === ANONYMOUS
      ? [...processes, { owner, ...ofNobody, pages: anonymous[NOBODY]! }]
      : [{ owner, ...ofNobody, pages: counts[i]! }],
  ).filter(({ pages }) => pages > 0);
}
