// What the clones of a host take of its memory together, and who lets go of how much where that is more
// than they may. The limit is on all of them, not on each, and not on a cache of ours: a page that was read
// from a base can be read again, so it is dropped; what a clone wrote is nowhere else, so it stays, or is
// written out by parking the clone. Which of a clone's pages go is the kernel's to choose. What the kernel
// counts now comes with the command; what became of earlier drops is what the clones' events say.

import { countsOfClone, type HostMemory } from './host-memory.ts';

/** What a clone takes, as its host counts it. */
export interface HeldMemory {
  /** What it is named by. */
  readonly clone: string;
  /** A page that several have counts for the one that touched it first. */
  readonly bytes: number;
  /** Of these, what can be read again. */
  readonly droppableBytes: number;
  /** Processor time since it was looked at before: who does little misses little. */
  readonly activity: number;
}

/** Holds clones of one host to a limit. */
export interface HoldToLimit {
  readonly _tag: 'HoldToLimit';
  readonly limitBytes: number;
  readonly held: readonly HeldMemory[];
}

/** So much is dropped by a clone. */
export interface Eviction {
  readonly clone: string;
  readonly bytes: number;
}

export interface EvictionPlan {
  readonly evictions: readonly Eviction[];
  /** Bytes above the limit that dropping does not bring back: what clones wrote. */
  readonly excessBytes: number;
  /** Who would have to be parked for these: the least active first, never the most active one. */
  readonly parks: readonly string[];
}

/** Where anything is dropped, so much of the limit is left free, so that not every page begins it anew. */
const FREE_PART = 1 / 16;

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

/** Bytes that clones take together. */
export const takenBytes = (held: readonly HeldMemory[]): number =>
  sum(held.map(({ bytes }) => bytes));

/** How much of what a clone dropped was read again: 0 where it dropped nothing. */
function refetchedPart(memory: HostMemory, clone: string): number {
  const { evicted, refetched } = countsOfClone(memory, clone);
  return evicted === 0 ? 0 : refetched / evicted;
}

/**
 * Who drops how much: the least active first, of equals who fetched the least of it again, then who has the
 * most to drop; nobody while all of them take no more than the limit.
 */
export const decideEvictions =
  (state: HostMemory) =>
  ({ held, limitBytes }: HoldToLimit): EvictionPlan => {
    const taken = takenBytes(held);
    if (taken <= limitBytes) return { evictions: [], excessBytes: 0, parks: [] };
    let left = taken - Math.floor(limitBytes * (1 - FREE_PART));
    const evictions: Eviction[] = [];
    const inOrder = held.toSorted(
      (a, b) =>
        a.activity - b.activity ||
        refetchedPart(state, a.clone) - refetchedPart(state, b.clone) ||
        b.droppableBytes - a.droppableBytes,
    );
    for (const { clone, droppableBytes } of inOrder) {
      const bytes = Math.min(left, droppableBytes);
      if (bytes <= 0) continue;
      evictions.push({ clone, bytes });
      left -= bytes;
    }
    const droppable = sum(held.map(({ droppableBytes }) => droppableBytes));
    const excessBytes = Math.max(0, taken - limitBytes - droppable);
    return { evictions, excessBytes, parks: parksFor(inOrder.slice(0, -1), excessBytes) };
  };

/** Of clones in their order, those whose written pages make up for so many bytes, or all. */
function parksFor(inOrder: readonly HeldMemory[], excessBytes: number): readonly string[] {
  const parks: string[] = [];
  let left = excessBytes;
  for (const { clone, bytes, droppableBytes } of inOrder) {
    if (left <= 0) break;
    parks.push(clone);
    left -= bytes - droppableBytes;
  }
  return parks;
}
