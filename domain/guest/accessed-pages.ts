// What the page tables of a guest's processes say was accessed: the processor sets a bit in the entry of a
// page that is read or written, and another where it is written, and the kernel clears them when it likes,
// which may be never. So a page without the bit was not accessed by that process since it was mapped, or
// since the kernel cleared it; one with the bit was, at some time. A large page has one entry, and with it
// one bit for all of its pages. What no process has mapped tells nothing: free pages, and what the kernel
// accesses by its own mapping.

import { isAccessed, isDirty } from './page-entries.ts';
import type { Task, TaskReader } from './tasks.ts';
import { UserPages } from './user-pages.ts';
import type { PageRoot, PhysicalMemory } from './virtual-memory.ts';

/** What is said of a frame, in all mappings of it. */
const MAPPED = 1;
const ACCESSED = 2;
const DIRTY = 4;
/** It shares its bits with all other pages of a large one. */
const IN_LARGE = 8;

/** What the bits of some pages say. */
export interface AccessBits {
  /** Pages that a process has mapped. */
  readonly mapped: number;
  /** Of these, pages that were accessed at some time, and written. */
  readonly accessed: number;
  readonly dirty: number;
  /** Of those mapped, pages that have one bit in common with others. */
  readonly inLarge: number;
}

/** The bits of a guest's frames. Memory: a byte a frame. */
export class AccessedPages {
  readonly #said: Uint8Array;

  private constructor(said: Uint8Array) {
    this.#said = said;
  }

  /** Walks the page tables of processes. */
  static async of(
    { physical, root }: { readonly physical: PhysicalMemory; readonly root: PageRoot },
    reader: Pick<TaskReader, 'rootOf'>,
    tasks: readonly Task[],
  ): Promise<AccessedPages> {
    const said = new Uint8Array(physical.pages.frames);
    const walk = new UserPages(physical, { hasBits: true });
    for (const task of tasks) {
      const frame = await reader.rootOf(task);
      if (frame === null) continue;
      await walk.each({ ...root, frame }, (first, frames, { low, level }) => {
        const says =
          MAPPED |
          (isAccessed(low) ? ACCESSED : 0) |
          (isDirty(low) ? DIRTY : 0) |
          (level > 1 ? IN_LARGE : 0);
        const end = Math.min(first + frames, said.length);
        for (let at = first; at < end; at += 1) said[at]! |= says;
      });
    }
    return new AccessedPages(said);
  }

  /** What is said of some frames; null, and what is no memory, is said nothing of. */
  bitsOf(frames: Iterable<number | null>): AccessBits {
    let [mapped, accessed, dirty, inLarge] = [0, 0, 0, 0];
    for (const frame of frames) {
      const says = frame === null ? 0 : (this.#said[frame] ?? 0);
      if ((says & MAPPED) === 0) continue;
      mapped += 1;
      if ((says & ACCESSED) !== 0) accessed += 1;
      if ((says & DIRTY) !== 0) dirty += 1;
      if ((says & IN_LARGE) !== 0) inLarge += 1;
    }
    return { mapped, accessed, dirty, inLarge };
  }
}

/** Less mapped pages of a region tell nothing of the region. */
const KNOWN_PART = 1 / 2;

/**
 * The activity of a region of so many pages by its bits: pages that were accessed at some time, all of a
 * large page where its one bit says so. Null: processes have less than half of it mapped, and nobody knows
 * of the rest.
 */
export const activityByBits = ({ mapped, accessed }: AccessBits, pages: number): number | null =>
  mapped < pages * KNOWN_PART ? null : accessed;
