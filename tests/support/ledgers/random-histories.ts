// Random histories of several VMs by hand-made captures, and the same in the naive model: recorders
// that planned before others committed, so that stores are overridden, and VMs that are retired.

import fc from 'fast-check';
import { vmStream } from '../../../domain/events/streams.ts';
import { HandMadeLedger, planCapture } from '../hand-made-captures.ts';
import { seededRandom } from '../images.ts';
import { UNTOLD_CONTENT, NaiveLedger } from './naive-ledger.ts';

export const HISTORY_VMS = ['a', 'b', 'c'];
export const HISTORY_PAGES = 60;
/** Pages that are plugged in at once, and the most that a VM comes to have. */
const GROWN_PAGES = 9;
const ROUNDS_MAX = 7;
export const HISTORY_PAGES_MAX = HISTORY_PAGES + ROUNDS_MAX * GROWN_PAGES;
/** Few contents, so that pages are often equal; 0 is zeros. */
export const HISTORY_CONTENTS = 30;

/** What a page comes to hold: one of so many contents, or nobody tells what. */
export const drawnContent = (random: (below: number) => number, contents: number): number =>
  random(12) === 0 ? UNTOLD_CONTENT : random(contents);

/** These VMs are captured, all planned before the first of them commits. */
export interface Round {
  readonly seed: number;
  readonly vms: readonly string[];
  readonly changes: number;
  readonly retires: string | null;
  /** Pages that are plugged in to each of them before. */
  readonly grows: number;
}

export const rounds: fc.Arbitrary<readonly Round[]> = fc.array(
  fc.record({
    seed: fc.nat(),
    vms: fc.shuffledSubarray(HISTORY_VMS, { minLength: 1 }),
    changes: fc.constantFrom(0, 1, 5, 40),
    retires: fc.option(fc.constantFrom(...HISTORY_VMS), { freq: 12 }),
    grows: fc.constantFrom(0, 0, 0, GROWN_PAGES),
  }),
  { minLength: 1, maxLength: ROUNDS_MAX },
);

export class RandomHistory {
  readonly ledger = new HandMadeLedger();
  readonly naive = new NaiveLedger();
  readonly #memories = new Map(
    HISTORY_VMS.map((vm) => [vm, Array.from({ length: HISTORY_PAGES }, () => 0)]),
  );

  readonly #blocks = new Map(HISTORY_VMS.map((vm) => [vm, [HISTORY_PAGES]]));

  async play({ seed, vms, changes, retires, grows }: Round): Promise<void> {
    const { ledger, naive } = this;
    const random = seededRandom(seed);
    const plans = [];
    for (const vm of vms.filter((one) => !naive.retired.has(one))) {
      const pages = this.#memories.get(vm)!;
      if (grows > 0) this.#blocks.get(vm)!.push(grows);
      for (let i = 0; i < grows; i += 1) pages.push(0);
      for (let i = 0; i < changes; i += 1)
        pages[random(pages.length)] = drawnContent(random, HISTORY_CONTENTS);
      const memory = { vm, pages: [...pages], blocks: [...this.#blocks.get(vm)!] };
      plans.push(await planCapture(ledger.state, { ...memory, rowsMax: 1 + random(40) }));
    }
    for (const plan of plans)
      if (plan.batches.length > 0) await ledger.append(vmStream(plan.vm), plan.batches);
    for (const plan of plans) {
      const position = await ledger.commit(plan);
      naive.commit(plan.vm, this.#memories.get(plan.vm)!, position);
    }
    const isThere = naive.captures.some(({ vm }) => vm === retires);
    if (retires !== null && isThere && !naive.retired.has(retires))
      naive.retire(retires, await ledger.retire(retires));
  }
}
