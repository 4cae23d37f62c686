// What the slots of a rewritten pack stand for and are patches of, and how its event names that: by
// packs and slots that are known. Names are taken when the event is about to be appended, since what a
// patch refers to may have moved while its pack was written.

import type { PackRewritten } from '../../events/pack-rewritten.ts';
import { NO_PATCHES, type PatchTable } from '../../events/patches.ts';
import type { Holding } from '../../values/holding.ts';
import type { SlotOfPack } from '../pages/staging.ts';

/** What one slot of a rewritten pack stands for. */
export interface RewrittenSlot {
  readonly holding: Holding;
  /** What it is a patch of; null: it is none. */
  readonly reference: Holding | null;
}

/** How events name a content or a pattern. */
export type SourceOf = (holding: Holding) => SlotOfPack;

/** Names as columns: each once, and by its number in every row. */
class NamedSlots {
  readonly #numbers = new Map<string, number>();
  readonly indexes: Uint16Array;
  readonly slots: Uint16Array;

  constructor(named: readonly SlotOfPack[]) {
    this.indexes = Uint16Array.from(named, ({ pack }) => {
      const number = this.#numbers.get(pack) ?? this.#numbers.size;
      this.#numbers.set(pack, number);
      return number;
    });
    this.slots = Uint16Array.from(named, ({ slot }) => slot);
  }

  get packs(): readonly string[] {
    return [...this.#numbers.keys()];
  }
}

function patchesOf(slots: readonly RewrittenSlot[], sourceOf: SourceOf): PatchTable {
  const patches = slots.flatMap(({ reference }, slot) =>
    reference === null ? [] : [{ slot, of: sourceOf(reference) }],
  );
  if (patches.length === 0) return NO_PATCHES;
  const named = new NamedSlots(patches.map(({ of }) => of));
  return {
    packs: named.packs,
    slots: Uint16Array.from(patches, ({ slot }) => slot),
    packIndexes: named.indexes,
    references: named.slots,
  };
}

/** The columns of the event of a pack with these slots. */
export function sourceColumns(
  slots: readonly RewrittenSlot[],
  sourceOf: SourceOf,
): Pick<PackRewritten, 'sources' | 'sourceIndexes' | 'sourceSlots' | 'patches'> {
  const named = new NamedSlots(slots.map(({ holding }) => sourceOf(holding)));
  return {
    sources: named.packs,
    sourceIndexes: named.indexes,
    sourceSlots: named.slots,
    patches: patchesOf(slots, sourceOf),
  };
}
