// A control group of the kernel for one process and what it brings into memory: it tells how much of that
// can be dropped and read again, and drops so much. It limits nothing by itself. Both versions: in the
// second there is a file for it, in the first the limit is lowered for a moment.

import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';

/** A hierarchy of groups that accounts for memory, and where this process is in it. */
interface Hierarchy {
  readonly version: 1 | 2;
  readonly folder: string;
}

const NO_LIMIT = '-1';

/** A line of /proc/self/mountinfo: root, place, type, and what it was mounted with. */
const MOUNT = /^\S+ \S+ \S+ (\S+) (\S+) .* - (cgroup2?) \S+ (\S+)$/u;

/** Where the kernel has this process among groups that account for memory; null: nowhere that can be used. */
export function memoryHierarchy(mounts: string, groups: string): Hierarchy | null {
  const found = mounts.split('\n').flatMap((line) => {
    const [, root = '', place = '', type, options = ''] = MOUNT.exec(line) ?? [];
    if (type === undefined) return [];
    if (type === 'cgroup' && !options.split(',').includes('memory')) return [];
    const wanted = type === 'cgroup' ? /^\d+:(?:[^:]*,)?memory(?:,[^:]*)?:(.*)$/mu : /^0::(.*)$/mu;
    const path = wanted.exec(groups)?.[1];
    if (path === undefined) return [];
    const version = type === 'cgroup' ? (1 as const) : (2 as const);
    return [{ version, folder: join(place, relative(root, path)) }];
  });
  return found.toSorted((a, b) => a.version - b.version)[0] ?? null;
}

const numberIn = (text: string, name: string): number =>
  Number(new RegExp(`^${name} (\\d+)$`, 'mu').exec(text)?.[1] ?? 0);

/** A group that was made. Its process may have ended. */
export class MemoryGroup {
  readonly #folder: string;
  readonly #version: 1 | 2;

  private constructor({ version, folder }: Hierarchy) {
    this.#folder = folder;
    this.#version = version;
  }

  /** Makes a group below that of this process; null where the kernel, or its rights, do not let it. */
  static make(name: string, within?: Hierarchy): MemoryGroup | null {
    try {
      const read = (path: string): string => readFileSync(path, 'utf8');
      const own =
        within ?? memoryHierarchy(read('/proc/self/mountinfo'), read('/proc/self/cgroup'));
      if (own === null) return null;
      if (own.version === 2) writeFileSync(join(own.folder, 'cgroup.subtree_control'), '+memory');
      const folder = join(own.folder, name);
      mkdirSync(folder);
      const made = new MemoryGroup({ ...own, folder });
      if (!existsSync(made.#at('memory.stat'))) {
        made.remove();
        return null;
      }
      // A process that finds no room while the limit is low waits instead of being killed.
      if (own.version === 1) writeFileSync(made.#at('memory.oom_control'), '1');
      return made;
    } catch {
      return null;
    }
  }

  #at(file: string): string {
    return join(this.#folder, file);
  }

  #text(file: string): string {
    return readFileSync(this.#at(file), 'utf8');
  }

  /** Takes a process in: what it brings into memory from here on is counted here. */
  take(process: number): void {
    writeFileSync(this.#at('cgroup.procs'), String(process));
  }

  /** Bytes that are counted here: a page that several processes have counts for the first of them. */
  get usedBytes(): number {
    return Number(this.#text(this.#version === 2 ? 'memory.current' : 'memory.usage_in_bytes'));
  }

  /** Bytes that can be dropped and read again. */
  get droppableBytes(): number {
    const told = this.#text('memory.stat');
    if (this.#version === 2) return numberIn(told, 'inactive_file') + numberIn(told, 'active_file');
    return numberIn(told, 'total_inactive_file') + numberIn(told, 'total_active_file');
  }

  /** Drops about so many bytes; gives how many were. */
  async drop(bytes: number): Promise<number> {
    const before = this.droppableBytes;
    if (this.#version === 2) {
      // The kernel says EAGAIN where it could drop less.
      await writeFile(this.#at('memory.reclaim'), String(bytes)).catch(() => undefined);
    } else {
      const limit = this.#at('memory.limit_in_bytes');
      try {
        await writeFile(limit, String(Math.max(0, this.usedBytes - bytes))).catch(() => undefined);
      } finally {
        await writeFile(limit, NO_LIMIT);
      }
    }
    return Math.max(0, before - this.droppableBytes);
  }

  /** Removes the group, once its process has ended; what is left in it counts above. */
  remove(): void {
    try {
      rmdirSync(this.#folder);
    } catch {
      // Somebody is in it still.
    }
  }
}
