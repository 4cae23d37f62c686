// The memory of this host that clones take together, held to a limit, or to what the host has: each clone is
// looked at, the domain decides who drops how much, and the kernel drops it.

import { availableMemory } from '../../guests/host-available.ts';
import type { MemoryGroup } from '../../guests/memory-group.ts';
import { ticksOf } from '../../guests/process-time.ts';
import {
  decideRelief,
  hostBudget,
  limitBudget,
  type HeldMemory,
  type ReliefPlan,
} from '../../../domain/host-relief.ts';
import type { HostMemory as FoldedMemory } from '../../../domain/host-memory.ts';
import type { Budget, MemoryState } from '../../../domain/memory-pressure.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';

/** What clones may take together: so many bytes, or what the host has. */
export type ClonesBudget =
  { readonly _tag: 'limit'; readonly bytes: number } | { readonly _tag: 'host' };

/** A clone whose memory is accounted for by itself. */
export interface AccountedClone {
  readonly id: string;
  readonly process: number;
  readonly group: MemoryGroup;
}

/** What came of looking at them. */
export interface ReliefRound {
  readonly memory: MemoryState;
  /** Pages that each dropped, by clone. */
  readonly dropped: ReadonlyMap<string, number>;
  /** Bytes missing that dropping does not bring back, and who would be parked for them, in order. */
  readonly excessBytes: number;
  readonly parks: readonly string[];
}

const NOTHING: ReliefPlan = { memory: 'high', steps: [], excessBytes: 0 };

/** Holds the clones of this host to a budget, whenever it is told to look at them. */
export class HostMemory {
  readonly #budget: ClonesBudget;
  readonly #folded: () => FoldedMemory;
  /** Ticks that each had taken when it was looked at last. */
  readonly #ticks = new Map<string, number>();
  #memory: MemoryState = 'high';

  /** `folded` is what became of what was dropped before, as it was said. */
  constructor(budget: ClonesBudget, folded: () => FoldedMemory) {
    this.#budget = budget;
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

  /** What there is, and how much of it is free; null: this host does not say. */
  #free(held: readonly HeldMemory[]): Budget | null {
    if (this.#budget._tag === 'limit') return limitBudget(this.#budget.bytes, held);
    const available = availableMemory();
    return available === null ? null : hostBudget(available, held);
  }

  /** Looks at clones, and drops what is too much. */
  async round(clones: readonly AccountedClone[]): Promise<ReliefRound> {
    const held = clones.flatMap((clone) => this.#held(clone));
    const budget = this.#free(held);
    const known = { memory: this.#memory, clones: this.#folded() };
    const plan =
      budget === null ? NOTHING : decideRelief(known)({ _tag: 'RelieveHost', budget, held });
    this.#memory = plan.memory;
    const dropped = new Map<string, number>();
    const parks: string[] = [];
    for (const { remedy, clone, bytes } of plan.steps) {
      if (remedy === 'write out modified') parks.push(clone);
      if (remedy !== 'drop unmodified') continue;
      const { group } = clones.find(({ id }) => id === clone)!;
      const pages = Math.floor((await group.drop(bytes)) / PAGE_BYTES);
      if (pages > 0) dropped.set(clone, pages);
    }
    return { memory: plan.memory, dropped, excessBytes: plan.excessBytes, parks };
  }
}
