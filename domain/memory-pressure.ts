// How scarce a host's memory is, and what is done about it, in which order. Four states, entered where
// less is free than the state's part and left again only where the next higher state's part is free: so
// one that is between two parts stays what it is, and nothing is done and undone in turn.

export type MemoryState = 'high' | 'soft' | 'hard' | 'low';

const STATES: readonly MemoryState[] = ['high', 'soft', 'hard', 'low'];

/** Parts of the memory: less free enters the state, so much free leaves the one below for it. */
const FREE_PARTS: Readonly<Record<MemoryState, number>> = {
  high: 0.06,
  soft: 0.04,
  hard: 0.02,
  low: 0.01,
};

/** A memory of so many bytes, of which so many are free: what is held beyond it is less than none. */
export interface Budget {
  readonly bytes: number;
  readonly freeBytes: number;
}

/** The state of a memory that was in another before. */
export function memoryState(before: MemoryState, { bytes, freeBytes }: Budget): MemoryState {
  const free = bytes === 0 ? 0 : freeBytes / bytes;
  const entered =
    STATES.findLast((state) => state !== 'high' && free < FREE_PARTS[state]) ?? 'high';
  if (STATES.indexOf(entered) >= STATES.indexOf(before)) return entered;
  // Upwards only as far as the parts are free that the states are left by.
  const reached = STATES.find((state) => free >= FREE_PARTS[state]) ?? 'low';
  return STATES.indexOf(reached) < STATES.indexOf(before) ? reached : before;
}

/** Bytes that are missing until as much is free as should be. */
export const missingBytes = ({ bytes, freeBytes }: Budget): number =>
  Math.max(0, bytes * FREE_PARTS.high - freeBytes);

/** Ways to have more memory free, the one that costs guests least first. */
export type Remedy = 'split cold' | 'split sharing' | 'drop unmodified' | 'write out modified';

/** The states from which on each is done. */
const REMEDIES: readonly (readonly [Remedy, MemoryState])[] = [
  ['split cold', 'high'],
  ['split sharing', 'soft'],
  ['drop unmodified', 'hard'],
  ['write out modified', 'low'],
];

/** Whether something is done in a state. */
export const canReclaim = (state: MemoryState, remedy: Remedy): boolean =>
  STATES.indexOf(state) >= STATES.indexOf(REMEDIES.find(([of]) => of === remedy)![1]);

/** What each remedy would bring back, in bytes. */
export type Reclaimable = Readonly<Record<Remedy, number>>;

export interface RemedyStep {
  readonly remedy: Remedy;
  readonly bytes: number;
}

/**
 * What is done in a state, in order: the cold are split whatever is free; all else only until so much is
 * free that the memory is as it should be, and never what a later state allows. What is left to bring back
 * then nothing here does.
 */
export function planRemedies(
  state: MemoryState,
  budget: Budget,
  reclaimable: Reclaimable,
): readonly RemedyStep[] {
  let missing = missingBytes(budget);
  const steps: RemedyStep[] = [];
  for (const [remedy] of REMEDIES) {
    if (!canReclaim(state, remedy)) break;
    const isAlways = remedy === 'split cold';
    const taken = isAlways ? reclaimable[remedy] : Math.min(reclaimable[remedy], missing);
    if (taken <= 0) continue;
    steps.push({ remedy, bytes: taken });
    missing -= taken;
  }
  return steps;
}
