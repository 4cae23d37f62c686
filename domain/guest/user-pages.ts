// The pages that processes have mapped: a walk through the lower half of their page tables. No process
// shares its tables with another, and no table has two places: each is walked once, also of a guest that
// lies, so a walk is never longer than the guest's memory.

import {
  ENTRIES,
  ENTRY_BYTES,
  frameIn,
  framesOf,
  isAccessed,
  isDirty,
  isLeaf,
  isPresent,
  isWithoutAccess,
  tableView,
  turnedFrame,
} from './page-entries.ts';
import type { PageRoot, PhysicalMemory } from './virtual-memory.ts';

/** Places that a table may have: its frame and its level. */
const placeOf = (frame: number, level: number): number => frame * 8 + level;
/** What an entry's bits say of its page. */
const bitsOf = (low: number): number => (isAccessed(low) ? 2 : 0) + (isDirty(low) ? 1 : 0);
/** What is told of a large page once: its frame, its level, and bits. */
const largePlaceOf = (frame: number, level: number, bits: number): number =>
  -(frame * 32 + level * 4 + bits);

/** Is told of frames from one on, by an entry's lower half and its level. */
export type TellPages = (
  frame: number,
  frames: number,
  entry: { low: number; level: number },
) => void;

interface Table {
  readonly frame: number;
  readonly level: number;
}

export class UserPages {
  readonly #memory: PhysicalMemory;
  readonly #hasBits: boolean;
  readonly #walked = new Set<number>();

  /** `hasBits`: a large page is told of once for each of what its entries' bits say, and not just once. */
  constructor(memory: PhysicalMemory, { hasBits = false } = {}) {
    this.#memory = memory;
    this.#hasBits = hasBits;
  }

  /** Tells of the pages of the process whose tables begin there. */
  async each(root: PageRoot, tell: TellPages): Promise<void> {
    const open: Table[] = [{ frame: root.frame, level: root.levels }];
    for (let table = open.pop(); table !== undefined; table = open.pop()) {
      if (!this.#isNew(placeOf(table.frame, table.level))) continue;
      const page = await this.#memory.page(table.frame);
      if (page === null) continue;
      const entries = table.level === root.levels ? ENTRIES / 2 : ENTRIES;
      this.#entries(tableView(page), { level: table.level, entries, open, tell });
    }
  }

  #isNew(place: number): boolean {
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
      readonly tell: TellPages;
    },
  ): void {
    const { level, open, tell } = of;
    for (let at = 0; at < of.entries * ENTRY_BYTES; at += ENTRY_BYTES) {
      const low = view.getUint32(at, true);
      const high = view.getUint32(at + 4, true);
      if (level === 1 && isWithoutAccess(low)) tell(turnedFrame(low, high), 1, { low, level });
      if (!isPresent(low)) continue;
      const frame = frameIn(low, high, level);
      if (!isLeaf(low, level)) {
        if (this.#memory.pages.has(frame)) open.push({ frame, level: level - 1 });
      } else if (level === 1) tell(frame, 1, { low, level });
      // A large page is told of once: many entries may lead to it.
      else if (
        frame < this.#memory.pages.frames &&
        this.#isNew(largePlaceOf(frame, level, this.#hasBits ? bitsOf(low) : 0))
      )
        tell(frame, Math.min(framesOf(level), this.#memory.pages.frames - frame), { low, level });
    }
  }
}
