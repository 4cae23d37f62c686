// The pages that processes have mapped: a walk through the lower half of their page tables. No process
// shares its tables with another, and no table has two places: each is walked once, also of a guest that
// lies, so a walk is never longer than the guest's memory.

import {
  ENTRIES,
  ENTRY_BYTES,
  frameIn,
  framesOf,
  isLeaf,
  isPresent,
  isWithoutAccess,
  tableView,
  turnedFrame,
} from './page-entries.ts';
import type { PageRoot, PhysicalMemory } from './virtual-memory.ts';

/** Places that a table, or a large page, may have: its frame and its level. */
const placeOf = (frame: number, level: number): number => frame * 8 + level;

interface Table {
  readonly frame: number;
  readonly level: number;
}

export class UserPages {
  readonly #memory: PhysicalMemory;
  readonly #walked = new Set<number>();

  constructor(memory: PhysicalMemory) {
    this.#memory = memory;
  }

  /** Tells of the pages of the process whose tables begin there. */
  async each(root: PageRoot, tell: (frame: number, frames: number) => void): Promise<void> {
    const open: Table[] = [{ frame: root.frame, level: root.levels }];
    for (let table = open.pop(); table !== undefined; table = open.pop()) {
      if (!this.#isNew(table.frame, table.level)) continue;
      const page = await this.#memory.page(table.frame);
      if (page === null) continue;
      const entries = table.level === root.levels ? ENTRIES / 2 : ENTRIES;
      this.#entries(tableView(page), { level: table.level, entries, open, tell });
    }
  }

  #isNew(frame: number, level: number): boolean {
    const place = placeOf(frame, level);
    if (this.#walked.has(place)) return false;
    this.#walked.add(place);
    return true;
  }

  #entries(
    view: DataView,
    of: {
      readonly level: number;
      readonly entries: number;
      readonly open: Table[];
      readonly tell: (frame: number, frames: number) => void;
    },
  ): void {
    const { level, open, tell } = of;
    for (let at = 0; at < of.entries * ENTRY_BYTES; at += ENTRY_BYTES) {
      const low = view.getUint32(at, true);
      const high = view.getUint32(at + 4, true);
      if (level === 1 && isWithoutAccess(low)) tell(turnedFrame(low, high), 1);
      if (!isPresent(low)) continue;
      const frame = frameIn(low, high, level);
      if (!isLeaf(low, level)) {
        if (this.#memory.pages.has(frame)) open.push({ frame, level: level - 1 });
      } else if (level === 1) tell(frame, 1);
      // A large page is told of once: many entries may lead to it.
      else if (frame < this.#memory.pages.frames && this.#isNew(frame, -level))
        tell(frame, Math.min(framesOf(level), this.#memory.pages.frames - frame));
    }
  }
}
