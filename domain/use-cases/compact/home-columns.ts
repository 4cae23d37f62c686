// What the slots of a rewritten pack stand for, as columns: packs that content was first written to,
// and its slots there.

import { HOME_PACKS_MAX, type PackRewritten } from '../../events/pack-rewritten.ts';
import { PACK_SLOTS } from '../../values/page.ts';
import type { SlotOfPack } from '../pages/pack-writer.ts';

/** What one slot of a rewritten pack stands for. */
export interface RewrittenSlot {
  readonly home: SlotOfPack;
  /** What it is a patch of; null: it is none. */
  readonly reference: SlotOfPack | null;
}

export class HomeColumns {
  /** Names under the numbers that the columns say. */
  readonly #numbers = new Map<string, number>();
  #slots = 0;
  readonly #indexes = new Uint16Array(PACK_SLOTS);
  readonly #homeSlots = new Uint16Array(PACK_SLOTS);

  /** Whether so many slots may be added, whatever packs they are of. */
  hasRoom(slots: number): boolean {
    return this.#numbers.size + slots <= HOME_PACKS_MAX;
  }

  /** The next slot. */
  add({ pack, slot }: SlotOfPack): void {
    const number = this.#numbers.get(pack) ?? this.#numbers.size;
    this.#numbers.set(pack, number);
    this.#indexes[this.#slots] = number;
    this.#homeSlots[this.#slots] = slot;
    this.#slots += 1;
  }

  /** The columns of the event; the next pack begins. */
  take(): Pick<PackRewritten, 'homes' | 'homeIndexes' | 'homeSlots'> {
    const columns = {
      homes: [...this.#numbers.keys()],
      homeIndexes: this.#indexes.slice(0, this.#slots),
      homeSlots: this.#homeSlots.slice(0, this.#slots),
    };
    this.#numbers.clear();
    this.#slots = 0;
    return columns;
  }
}
