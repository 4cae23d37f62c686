import { describe, expect, test } from '@jest/globals';
import { FAN_IN, packsToMerge, tierOf, type MergeablePack } from '../../domain/merging.ts';
import { PACK_PAGES_MAX } from '../../domain/values/page.ts';

/** So many packs of a VM, numbered from `first` on. */
const packsOf = (
  vm: string,
  { count, slots, first = 0 }: { count: number; slots: number; first?: number },
): MergeablePack[] => Array.from({ length: count }, (_, i) => ({ ordinal: first + i, vm, slots }));

describe('packs are merged', () => {
  test('where a VM has many small ones, the oldest first', () => {
    const few = packsOf('a', { count: FAN_IN - 1, slots: 16 });
    expect(packsToMerge(few)).toEqual([]);
    const enough = packsOf('a', { count: FAN_IN + 5, slots: 16 });
    expect(packsToMerge(enough.toReversed())).toEqual(enough.slice(0, FAN_IN));
  });

  test('of one VM alone', () => {
    const a = packsOf('a', { count: FAN_IN - 1, slots: 16 });
    const b = packsOf('b', { count: FAN_IN - 1, slots: 16, first: 1000 });
    expect(packsToMerge([...a, ...b])).toEqual([]);
    const full = packsOf('b', { count: FAN_IN, slots: 16, first: 1000 });
    expect(packsToMerge([...a, ...full])).toEqual(full);
  });

  test('of one tier alone, the lowest first', () => {
    const small = packsOf('a', { count: FAN_IN, slots: 16, first: 1000 });
    const larger = packsOf('a', { count: FAN_IN, slots: 16 * FAN_IN });
    expect(packsToMerge([...larger, ...small])).toEqual(small);
    expect(packsToMerge([...larger, ...small.slice(1)])).toEqual(larger);
    expect(packsToMerge([...larger.slice(1), ...small.slice(1)])).toEqual([]);
  });

  test('not where they are half full', () => {
    expect(tierOf({ slots: PACK_PAGES_MAX / 2 })).toBeNull();
    expect(packsToMerge(packsOf('a', { count: 500, slots: PACK_PAGES_MAX / 2 }))).toEqual([]);
  });
});

test('whatever is recorded, a VM has few packs that are not half full, and pages are seldom copied', () => {
  const CAPTURES = 6000;
  for (const slots of [1, 16, 45, 127, 128, 700, 2000]) {
    let packs: MergeablePack[] = [];
    let ordinal = 0;
    let copied = 0;
    for (let capture = 0; capture < CAPTURES; capture += 1) {
      packs.push({ ordinal: ordinal++, vm: 'a', slots });
      for (let some = packsToMerge(packs); some.length > 0; some = packsToMerge(packs)) {
        packs = packs.filter((pack) => !some.includes(pack));
        let left = some.reduce((sum, pack) => sum + pack.slots, 0);
        copied += left;
        for (; left > 0; left -= PACK_PAGES_MAX)
          packs.push({ ordinal: ordinal++, vm: 'a', slots: Math.min(left, PACK_PAGES_MAX) });
      }
    }
    expect(copied).toBeLessThanOrEqual(3 * CAPTURES * slots);
    expect(packs.filter((pack) => tierOf(pack) !== null).length).toBeLessThan(2 * FAN_IN);
  }
});
