import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { PACK_PAGES_MAX, PACK_PATTERNS_MAX } from '../../../domain/values/page.ts';
import { PATCH_PACKS_MAX } from '../../../domain/events/patches.ts';
import { PackPlan } from '../../../domain/use-cases/record/pack-plan.ts';
import { triesOf } from '../../support/long-run.ts';

const pattern = (byte: number) => ({
  descriptor: Uint8Array.of(byte & 0xff),
  identifier: new Uint8Array(32).fill(byte & 0xff),
});

describe('a plan of packs', () => {
  test('of a capture that stores nothing has none', () => {
    const plan = new PackPlan();
    plan.finish();
    expect(plan.count).toBe(0);
  });

  test('ends a pack when it has all the contents it may', () => {
    const plan = new PackPlan();
    const begins = Array.from({ length: PACK_PAGES_MAX + 1 }, () => plan.addContent());
    expect(begins.flatMap((begun, number) => (begun ? [number] : []))).toEqual([0, PACK_PAGES_MAX]);
    expect([plan.contentsOf(0), plan.contentsOf(1)]).toEqual([PACK_PAGES_MAX, null]);
    plan.finish();
    expect(plan.contentsOf(1)).toBe(1);
    expect(plan.locate('content', PACK_PAGES_MAX)).toEqual({ ordinal: 1, index: 0 });
  });

  test('ends a pack when it has all the patterns it may, and cuts contents there', () => {
    const plan = new PackPlan();
    plan.addContent();
    for (let i = 0; i <= PACK_PATTERNS_MAX; i += 1) plan.addPattern(pattern(i));
    expect(plan.addContent()).toBe(true);
    plan.finish();
    expect([plan.contentsOf(0), plan.contentsOf(1)]).toEqual([1, 1]);
    expect([plan.patternsOf(0).length, plan.patternsOf(1).length]).toEqual([PACK_PATTERNS_MAX, 1]);
    expect(plan.locate('pattern', PACK_PATTERNS_MAX)).toEqual({ ordinal: 1, index: 0 });
  });

  test('lets the patches of a pack refer to so many packs', () => {
    const plan = new PackPlan();
    plan.addContent();
    const allowed = Array.from({ length: PATCH_PACKS_MAX + 1 }, (_, i) => plan.mayRefer(`${i}`));
    expect(allowed.filter((may) => !may)).toHaveLength(1);
    expect([plan.mayRefer('0'), plan.mayRefer('another')]).toEqual([true, false]);
  });

  test('gives everything one place, within the bounds of its pack, in the order of decision', () => {
    const steps = fc.array(
      fc.record({ isPattern: fc.boolean(), count: fc.integer({ min: 1, max: 3000 }) }),
      { maxLength: 12 },
    );
    fc.assert(
      fc.property(steps, (history) => {
        const plan = new PackPlan();
        const totals = { content: 0, pattern: 0 };
        for (const { isPattern, count } of history)
          for (let i = 0; i < count; i += 1) {
            if (isPattern) plan.addPattern(pattern(i));
            else plan.addContent();
            totals[isPattern ? 'pattern' : 'content'] += 1;
          }
        plan.finish();
        for (const kind of ['content', 'pattern'] as const) {
          const sizes = Array.from({ length: plan.count }, (_, ordinal) =>
            kind === 'content' ? plan.contentsOf(ordinal)! : plan.patternsOf(ordinal).length,
          );
          const max = kind === 'content' ? PACK_PAGES_MAX : PACK_PATTERNS_MAX;
          expect(sizes.every((size) => size <= max)).toBe(true);
          expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(totals[kind]);
          let number = 0;
          for (const [ordinal, size] of sizes.entries()) {
            if (size === 0) continue;
            expect(plan.locate(kind, number)).toEqual({ ordinal, index: 0 });
            number += size;
            expect(plan.locate(kind, number - 1)).toEqual({ ordinal, index: size - 1 });
          }
        }
      }),
      { numRuns: triesOf(40) },
    );
  });
});
