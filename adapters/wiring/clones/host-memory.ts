// The memory of this host that clones take together, held to a limit: each is looked at, the domain decides
// who drops how much, and the kernel drops it.

import type { MemoryGroup } from '../../guests/memory-group.ts';
import { ticksOf } from '../../guests/process-time.ts';
import { decideEvictions, type HeldMemory } from '../../../domain/evictions.ts';
import { initialHostMemory, type HostMemory as FoldedMemory } from '../../../domain/host-memory.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';

/** A clone whose memory is accounted for by itself. */
export interface AccountedClone {
  readonly id: string;
  readonly process: number;
  readonly group: MemoryGroup;
}

/** What came of looking at them. */
export interface EvictionRound {
  /** Pages that each dropped, by clone. */
  readonly dropped: ReadonlyMap<string, number>;
  /** Bytes above the limit that dropping does not bring back, and who would be parked for them, in order. */
  readonly excessBytes: number;
  readonly parks: readonly string[];
}

/** Holds the clones of this host to a limit, whenever it is told to look at them. */
export class HostMemory {
  readonly #limitBytes: number;
  readonly #folded: () => FoldedMemory | undefined;
  /** Ticks that each had taken when it was looked at last. */
  readonly #ticks = new Map<string, number>();

  /** `folded` is what became of what was dropped before, as the ledger says it; undefined: nobody knows. */
  constructor(limitBytes: number, folded: () => FoldedMemory | undefined) {
    this.#limitBytes = limitBytes;
    this.#folded = folded;
  }

  /** A clone as it stands; nothing where it has ended. */
  #held({ id, process, group }: AccountedClone): readonly HeldMemory[] {
    const ticks = ticksOf(process);
    if (ticks === null) return [];
    const activity = ticks - (this.#ticks.get(id) ?? 0);
    this.#ticks.set(id, ticks);
    const { usedBytes: bytes, droppableBytes } = group;
    return [{ clone: id, bytes, droppableBytes, activity }];
  }

  /** Looks at clones, and drops what is too much. */
  async round(clones: readonly AccountedClone[]): Promise<EvictionRound> {
    const held = clones.flatMap((clone) => this.#held(clone));
    const { evictions, excessBytes, parks } = decideEvictions(this.#folded() ?? initialHostMemory)({
      _tag: 'HoldToLimit',
      held,
      limitBytes: this.#limitBytes,
    });
    const dropped = new Map<string, number>();
    for (const { clone, bytes } of evictions) {
      const { group } = clones.find(({ id }) => id === clone)!;
      const pages = Math.floor((await group.drop(bytes)) / PAGE_BYTES);
      if (pages > 0) dropped.set(clone, pages);
    }
    return { dropped, excessBytes, parks };
  }
}
