// What the guests of a host take of its memory together, and what is done where too little of it is free: the
// one place that says in which order, and who goes first. A page that was read from a base can be read again,
// so it is dropped; what a clone wrote is nowhere else, so it stays, or is written out by parking the clone.
// How much is free is of a budget that is named: a limit on all of them together, or what the host has. Which
// of a clone's pages go is the kernel's to choose. What the kernel counts now comes with the command; what
// became of earlier drops is what the clones' events say.

import { countsOfClone, type HostMemory } from './host-memory.ts';
import {
  memoryState,
  missingBytes,
  planRemedies,
  type Budget,
  type MemoryState,
  type Remedy,
} from './memory-pressure.ts';

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

/** What is known of a host before it is looked at. */
export interface KnownHost {
  /** How scarce its memory was. */
  readonly memory: MemoryState;
  /** What its clones fetched, and fetched again. */
  readonly clones: HostMemory;
}

/** Has more of a host's memory free, where too little is. */
export interface RelieveHost {
  readonly _tag: 'RelieveHost';
  readonly budget: Budget;
  readonly held: readonly HeldMemory[];
}

/** So much is brought back by one clone. */
export interface ReliefStep {
  readonly remedy: Remedy;
  readonly clone: string;
  /** Of one that is parked all that it wrote, which may be more than is missing. */
  readonly bytes: number;
}

export interface ReliefPlan {
  readonly memory: MemoryState;
  /** In the order in which they are done. */
  readonly steps: readonly ReliefStep[];
  /** Where memory is low, bytes missing that dropping does not bring back: what clones wrote. */
  readonly excessBytes: number;
}

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

/** Bytes that clones take together. */
export const takenBytes = (held: readonly HeldMemory[]): number =>
  sum(held.map(({ bytes }) => bytes));

/** A limit on what clones take together. */
export const limitBudget = (bytes: number, held: readonly HeldMemory[]): Budget => ({
  bytes,
  freeBytes: bytes - takenBytes(held),
});

/**
 * The memory of a host. Its kernel counts as available what it could drop, and so what clones have read of
 * their bases: that is theirs while they need it, and counts as taken here.
 */
export const hostBudget = (
  { bytes, availableBytes }: { readonly bytes: number; readonly availableBytes: number },
  held: readonly HeldMemory[],
): Budget => ({
  bytes,
  freeBytes: availableBytes - sum(held.map(({ droppableBytes }) => droppableBytes)),
});

/** How long clones are left alone once they dropped something: they need some of it again. In milliseconds. */
const REST_MS = 2_000;
const REST_MAX_MS = 30_000;
/** Processor time that a clone has had by then, of all of them the mean. */
const REST_PROCESSOR_MS = 250;

/**
 * Whether clones have got on since they dropped something, and may be made to drop again. Where processors, or
 * what serves their memory, are slow, the time alone would have them drop all that they had just read, for ever.
 */
export const haveGotOn = (since: {
  readonly ms: number;
  /** Processor time that all of them have had together. */
  readonly processorMs: number;
  readonly clones: number;
}): boolean =>
  since.ms >= REST_MAX_MS ||
  (since.ms >= REST_MS && since.processorMs >= REST_PROCESSOR_MS * since.clones);

/** How much of what a clone dropped was read again: 0 where it dropped nothing. */
function refetchedPart(memory: HostMemory, clone: string): number {
  const { evicted, refetched } = countsOfClone(memory, clone);
  return evicted === 0 ? 0 : refetched / evicted;
}

/** Who goes first: the least active, of equals who fetched the least again, then who has the most to drop. */
const inOrder = (clones: HostMemory, held: readonly HeldMemory[]): readonly HeldMemory[] =>
  held.toSorted(
    (a, b) =>
      a.activity - b.activity ||
      refetchedPart(clones, a.clone) - refetchedPart(clones, b.clone) ||
      b.droppableBytes - a.droppableBytes,
  );

const writtenBytes = ({ bytes, droppableBytes }: HeldMemory): number =>
  Math.max(0, bytes - droppableBytes);

/** The first of some clones, as many as bring so many bytes back. */
function steps(
  remedy: Remedy,
  held: readonly HeldMemory[],
  of: { readonly bytes: number; readonly gives: (clone: HeldMemory) => number },
): readonly ReliefStep[] {
  const taken: ReliefStep[] = [];
  let left = of.bytes;
  for (const each of held) {
    const gives = of.gives(each);
    if (left <= 0) break;
    if (gives <= 0) continue;
    const bytes = remedy === 'write out modified' ? gives : Math.min(left, gives);
    taken.push({ remedy, clone: each.clone, bytes });
    left -= gives;
  }
  return taken;
}

/**
 * Which clones drop how much, and which are parked, where too little is free. A clone over a file has
 * nothing to split while it runs: what it holds large was decided when it began. The most active one is never parked.
 */
export const decideRelief =
  ({ memory: before, clones }: KnownHost) =>
  ({ budget, held }: RelieveHost): ReliefPlan => {
    const memory = memoryState(before, budget);
    const ordered = inOrder(clones, held);
    const parkable = ordered.slice(0, -1);
    const planned = planRemedies(memory, budget, {
      'split cold': 0,
      'split sharing': 0,
      'drop unmodified': sum(held.map(({ droppableBytes }) => droppableBytes)),
      'write out modified': sum(parkable.map(writtenBytes)),
    });
    const bytesOf = (remedy: Remedy): number =>
      Math.ceil(planned.find((step) => step.remedy === remedy)?.bytes ?? 0);
    const dropped = bytesOf('drop unmodified');
    return {
      memory,
      steps: [
        ...steps('drop unmodified', ordered, {
          bytes: dropped,
          gives: ({ droppableBytes }) => droppableBytes,
        }),
        ...steps('write out modified', parkable, {
          bytes: bytesOf('write out modified'),
          gives: writtenBytes,
        }),
      ],
      excessBytes: memory === 'low' ? Math.max(0, Math.ceil(missingBytes(budget)) - dropped) : 0,
    };
  };
