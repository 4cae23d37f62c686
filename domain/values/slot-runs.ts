// Slots of a pack that follow each other, as runs: where each begins and where it ends (not included), one
// after the other. Runs ascend and no two of them touch.

import { lastWhere } from './sorted-search.ts';

/** First slot and end of each run. */
export type SlotRuns = Uint16Array;

export const NO_RUNS: SlotRuns = new Uint16Array(0);

/** Whether a slot is in one of them. O(log runs). */
export function hasSlot(runs: SlotRuns, slot: number): boolean {
  const run = lastWhere(runs.length / 2, (i) => runs[2 * i]! <= slot);
  return run >= 0 && slot < runs[2 * run + 1]!;
}

/** Whether they are runs of the slots below an end. */
export function areRuns(runs: SlotRuns, end: number): boolean {
  let after = -1;
  for (let i = 0; i < runs.length; i += 2) {
    const [first, last] = [runs[i]!, runs[i + 1] ?? 0];
    if (first <= after || last <= first) return false;
    after = last;
  }
  return after <= end;
}

/** What is left between them of the slots below an end: first slot and end of each stretch. */
export function* slotsBeside(
  runs: SlotRuns,
  end: number,
): Generator<{ readonly first: number; readonly end: number }> {
  let first = 0;
  for (let i = 0; i < runs.length; i += 2) {
    if (runs[i]! > first) yield { first, end: runs[i]! };
    first = runs[i + 1]!;
  }
  if (first < end) yield { first, end };
}

/** Runs as they grow, slot by slot in their order. */
export class GrowingRuns {
  readonly #runs: number[] = [];

  add(slot: number): void {
    if (this.#runs.length > 0 && this.#runs.at(-1) === slot) this.#runs.pop();
    else this.#runs.push(slot);
    this.#runs.push(slot + 1);
  }

  get runs(): SlotRuns {
    return Uint16Array.from(this.#runs);
  }
}
