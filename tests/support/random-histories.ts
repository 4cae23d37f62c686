// Random histories of several VMs by hand-made captures, and the same in the naive model: recorders
// that planned before others committed, so that stores are overridden, and VMs that are retired.

import fc from 'fast-check';
import { vmStream } from '../../domain/events/streams.ts';
import { HandMadeLedger, planCapture } from './hand-made-captures.ts';
import { seededRandom } from './images.ts';
import { NaiveLedger } from './naive-ledger.ts';

export const HISTORY_VMS = ['a', 'b', 'c'];
export const HISTORY_PAGES = 60;
/** Few contents, so that pages are often equal; 0 is zeros. */
export const HISTORY_CONTENTS = 30;

/** These VMs are captured, all planned before the first of them commits. */
export interface Round {
  readonly seed: number;
  readonly vms: readonly string[];
  readonly changes: number;
  readonly retires: string | null;
}

export const rounds: fc.Arbitrary<readonly Round[]> = fc.array(
  fc.record({
    seed: fc.nat(),
    vms: fc.shuffledSubarray(HISTORY_VMS, { minLength: 1 }),
    changes: fc.constantFrom(0, 1, 5, 40),
    retires: fc.option(fc.constantFrom(...HISTORY_VMS), { freq: 12 }),
  }),
  { minLength: 1, maxLength: 7 },
);

export class RandomHistory {
  readonly ledger = new HandMadeLedger();
  readonly naive = new NaiveLedger();
  readonly #memories = new Map(
    HISTORY_VMS.map((vm) => [vm, Array.from({ length: HISTORY_PAGES }, () => 0)]),
  );

  async play({ seed, vms, changes, retires }: Round): Promise<void> {
    const { ledger, naive } = this;
    const random = seededRandom(seed);
    const plans = [];
    for (const vm of vms.filter((one) => !naive.retired.has(one))) {
      const pages = this.#memories.get(vm)!;
      for (let i = 0; i < changes; i += 1) pages[random(HISTORY_PAGES)] = random(HISTORY_CONTENTS);
      plans.push(
        await planCapture(ledger.state, { vm, pages: [...pages], rowsMax: 1 + random(40) }),
      );
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
