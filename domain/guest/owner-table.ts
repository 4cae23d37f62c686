// Whose the pages of a guest are: free ones, those of files, of the kernel, and anonymous ones by the
// process that has them mapped (of several, the one with the lowest pid); and how many each owner has.

import { OWNERS, type Owner } from './page-owners.ts';
import type { TaskReader, Task } from './tasks.ts';
import { UserPages } from './user-pages.ts';
import type { PageRoot, PhysicalMemory } from './virtual-memory.ts';

/** Who owns a page. */
export interface PageOwner {
  readonly owner: Owner;
  /** Of an anonymous page, the process; null: no process has it mapped. */
  readonly pid: number | null;
  readonly command: string | null;
}

/** An owner and its pages. */
export interface OwnedPages extends PageOwner {
  readonly pages: number;
}

const ANONYMOUS = OWNERS.indexOf('anonymous');
const UNKNOWN = OWNERS.indexOf('unknown');
const NOBODY = 0;

/**
 * Which process has each frame mapped: its place among the processes plus one, or 0. Where only some
 * frames are wanted, it ends when these are found.
 */
export async function mappedBy(
  of: { readonly physical: PhysicalMemory; readonly root: PageRoot },
  reader: TaskReader,
  { tasks, wanted }: { readonly tasks: readonly Task[]; readonly wanted?: Iterable<number> },
): Promise<Uint32Array> {
  const { physical, root } = of;
  const mapped = new Uint32Array(physical.pages.frames);
  const walk = new UserPages(physical);
  const isSought = wanted === undefined ? null : new Uint8Array(mapped.length);
  let sought = wanted === undefined ? Infinity : 0;
  for (const frame of wanted ?? [])
    if (isSought![frame] === 0) {
      isSought![frame] = 1;
      sought += 1;
    }
  for (const [i, task] of tasks.entries()) {
    if (sought === 0) break;
    const frame = await reader.rootOf(task);
    if (frame === null) continue;
    // Tables that a process before it has as well are not walked again.
    await walk.each({ ...root, frame }, (first, frames) => {
      for (let at = first; at < first + frames; at += 1) {
        if (mapped[at] !== NOBODY) continue;
        mapped[at] = i + 1;
        if (isSought?.[at] === 1) sought -= 1;
      }
    });
  }
  return mapped;
}

/**
 * How many of some frames each process has mapped, those that several have counted for each of them; by
 * the places of the processes.
 */
export async function mappedPages(
  of: { readonly physical: PhysicalMemory; readonly root: PageRoot },
  reader: TaskReader,
  { tasks, isCounted }: { readonly tasks: readonly Task[]; readonly isCounted: Uint8Array },
): Promise<Float64Array> {
  const counts = new Float64Array(tasks.length);
  const walk = new UserPages(of.physical);
  /** Of processes that have the same tables as another, as after vfork. */
  const firsts = new Map<number, number>();
  for (const [i, task] of tasks.entries()) {
    const frame = await reader.rootOf(task);
    if (frame === null) continue;
    const first = firsts.get(frame) ?? i;
    firsts.set(frame, first);
    await walk.each({ ...of.root, frame }, (from, frames) => {
      for (let at = from; at < from + frames; at += 1) counts[i]! += isCounted[at] ?? 0;
    });
    counts[i] = counts[first]!;
  }
  return counts;
}

/**
 * Owners of frames, as numbers: places in OWNERS, and behind them a number for each process, whose the
 * anonymous pages are that it has mapped.
 */
export class FrameOwners {
  readonly #owners: Uint8Array;
  readonly #mapped: Uint32Array;
  readonly #tasks: readonly Task[];

  constructor(of: {
    /** Owners of frames, as places in OWNERS. */
    readonly owners: Uint8Array;
    readonly mapped: Uint32Array;
    readonly tasks: readonly Task[];
  }) {
    this.#owners = of.owners;
    this.#mapped = of.mapped;
    this.#tasks = of.tasks;
  }

  /** Whose a frame is; null: no address leads to it. */
  numberOf(frame: number | null): number {
    const owner = frame === null ? UNKNOWN : (this.#owners[frame] ?? UNKNOWN);
    if (owner !== ANONYMOUS || frame === null) return owner;
    const task = this.#mapped[frame]!;
    return task === NOBODY ? ANONYMOUS : OWNERS.length + task - 1;
  }

  /** Who a number stands for. */
  named(number: number): PageOwner {
    const task = this.#tasks[number - OWNERS.length];
    const owner = OWNERS[task === undefined ? number : ANONYMOUS]!;
    return { owner, pid: task?.pid ?? null, command: task?.command ?? null };
  }

  /** Numbers in the order of OWNERS, processes by pid, anonymous pages of nobody last of theirs. */
  get #inOrder(): readonly number[] {
    const ofTasks = this.#tasks.map((_, i) => OWNERS.length + i);
    return OWNERS.flatMap((_, i) => (i === ANONYMOUS ? [...ofTasks, i] : [i]));
  }

  /** How many of some frames each owner has; without those that have none. */
  table(frames: Iterable<number | null>): readonly OwnedPages[] {
    const counts = new Float64Array(OWNERS.length + this.#tasks.length);
    for (const frame of frames) counts[this.numberOf(frame)]! += 1;
    return this.#inOrder
      .filter((number) => counts[number]! > 0)
      .map((number) => ({ ...this.named(number), pages: counts[number]! }));
  }
}
