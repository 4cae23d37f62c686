// Large pages of low activity: which are looked at, which are then held small, and when they are held
// large again; by examples, and against a model that keeps pages one by one.

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { encodeControl, type RegionRow } from '../../domain/events/control.ts';
import {
  decideLargePages,
  decisionOf,
  evolveLargePages,
  initialLargePages,
  sampleOf,
  type JudgeRegions,
  type LargePages,
  type LargePagesEvent,
  type SampleRegions,
  type SeenRegion,
} from '../../domain/large-pages.ts';
import { emptyHeld, regionsIn } from '../../domain/region-pages.ts';
import { FIRST_CONTENT, isContent, UNKNOWN, ZERO } from '../../domain/values/holding.ts';
import { PAGE_BYTES, REGION_PAGES } from '../../domain/values/page.ts';
import { events, specify } from '../support/given-when-then.ts';
import { triesOf } from '../support/long-run.ts';

const given = specify({
  initial: initialLargePages,
  decide: decideLargePages,
  evolve: evolveLargePages,
});

const sampled = (capture: number, ...regions: readonly (readonly [number, number])[]) =>
  ({
    type: 'LargePageSampled',
    data: { vm: 'web', capture, source: 'writes', regions },
  }) as const satisfies LargePagesEvent;

type Outcome = 'LargePageSplit' | 'LargePageRestored';
const judged = (
  type: Outcome,
  { capture = 5, since = 1, threshold = 4 }: Partial<JudgedFacts>,
  ...regions: readonly RegionRow[]
): LargePagesEvent => ({
  type,
  data: { vm: 'web', capture, since, source: 'writes', measure: 'distinct', threshold, regions },
});
interface JudgedFacts {
  readonly capture: number;
  readonly since: number;
  readonly threshold: number | null;
}

const sample = (count: number, more: Partial<SampleRegions> = {}): SampleRegions => ({
  _tag: 'SampleRegions',
  vm: 'web',
  capture: 1,
  regions: 4,
  count,
  source: 'writes',
  ...more,
});

/** A region whose first pages are given, and all others a content of their own. */
const seen = (
  activity: number | null,
  region: number,
  ...first: readonly number[]
): SeenRegion => ({
  activity,
  pages: Uint32Array.from(
    { length: REGION_PAGES },
    (_, i) => first[i] ?? FIRST_CONTENT + 10_000 + region * REGION_PAGES + i,
  ),
});
const content = (number: number): number => FIRST_CONTENT + number;

const judge = (
  regions: Readonly<Record<number, SeenRegion>>,
  more: Partial<JudgeRegions> = {},
): JudgeRegions => ({
  _tag: 'JudgeRegions',
  vm: 'web',
  since: 1,
  capture: 5,
  source: 'writes',
  policy: { measure: 'distinct', choice: { _tag: 'below', threshold: 4 } },
  memory: 'high',
  seen: new Map(Object.entries(regions).map(([region, of]) => [Number(region), of])),
  held: emptyHeld(),
  ...more,
});
const row = (region: number, activity: number, counts: Partial<RegionRow> = {}): RegionRow => {
  const { shareable = 0, pattern = 0 } = counts;
  return { region, activity, shareable, pattern, bytes: (shareable + pattern) * PAGE_BYTES };
};

describe('regions to look at', () => {
  test('are so many of those that are held large, each once', () => {
    expect(given().when(sample(9))).toEqual(events(sampled(1, [0, 3])));
    const two = sampleOf(initialLargePages, sample(2));
    expect(new Set(two).size).toBe(2);
    const past = sampled(1, [0, 2]);
    expect(given(past).when(sample(9))).toEqual(events(sampled(1, [3, 3])));
    expect(given(sampled(1, [0, 3])).when(sample(9))).toEqual(events());
    expect(given().when(sample(9, { regions: 0 }))).toEqual(events());
  });

  test('are those never looked at, then those that were longest ago, never small ones', () => {
    const past = [
      judged('LargePageRestored', { capture: 8 }, row(0, 9)),
      judged('LargePageRestored', { capture: 6 }, row(1, 9)),
      judged('LargePageSplit', { capture: 5 }, row(2, 0)),
    ];
    const state = past.reduce(evolveLargePages, initialLargePages);
    const next = (count: number) => sampleOf(state, sample(count, { capture: 9 }));
    expect(next(4)).toEqual([3, 1, 0]);
    expect(next(1)).toEqual([3]);
  });

  test('may be those that are looked at by writes alone, where reading is seen too', () => {
    const requests = { source: 'requests', capture: 7 } as const;
    const better = given(sampled(1, [0, 2])).when(sample(9, requests));
    const data = { vm: 'web', capture: 7, source: 'requests', regions: [[0, 3]] } as const;
    expect(better).toEqual(events({ type: 'LargePageSampled', data }));
    expect(given({ type: 'LargePageSampled', data }).when(sample(9))).toEqual(events());
    expect(given({ type: 'LargePageSampled', data }).when(sample(9, requests))).toEqual(events());
  });

  test('may be those that bits alone tell of, where writes do, and not the other way round', () => {
    const sampledBy = (source: string) =>
      ({
        type: 'LargePageSampled',
        data: { vm: 'web', capture: 7, source, regions: [[0, 3]] },
      }) as const;
    const writes = sample(9, { capture: 7 });
    expect(given(sampledBy('bits')).when(writes)).toEqual(events(sampledBy('writes')));
    const bits = sample(9, { capture: 7, source: 'bits' });
    for (const source of ['writes', 'requests', 'a later word'])
      expect(given(sampledBy(source)).when(bits)).toEqual(events());
  });

  test('are told of in as many events as they need', () => {
    const regions = 100_000;
    const some = given().when(sample(regions / 2, { regions }));
    const list = some._tag === 'Right' ? some.right : [];
    expect(list.length).toBeGreaterThan(1);
    for (const event of list) expect(encodeControl(event)._tag).toBe('Right');
    const state = list.reduce(evolveLargePages, initialLargePages);
    expect(state.size).toBe(regions / 2);
  });

  test('lie all over the memory, elsewhere each time', () => {
    const some = [1, 2, 3].map((capture) =>
      sampleOf(initialLargePages, sample(10, { regions: 1000, capture })),
    );
    expect(new Set(some.flat()).size).toBeGreaterThan(20);
    for (const regions of some) expect(Math.max(...regions)).toBeGreaterThan(500);
  });
});

describe('regions by the bits of page tables', () => {
  const bits = { source: 'bits', since: 5 } as const;
  const regions = { 0: seen(3, 0, ZERO), 1: seen(9, 1, ZERO) };
  const looked = {
    type: 'LargePageSampled',
    data: { vm: 'web', capture: 5, source: 'bits', regions: [[0, 1]] },
  } as const;

  test('are decided on at once, since bits tell of what was before', () => {
    const decided = given(looked).when(judge(regions, bits));
    const told = decided._tag === 'Right' ? decided.right : [];
    expect(
      told.map(({ type, data }) => [type, data.capture, 'source' in data && data.source]),
    ).toEqual([
      ['LargePageSplit', 5, 'bits'],
      ['LargePageRestored', 5, 'bits'],
    ]);
    expect(decisionOf(told.reduce(evolveLargePages, initialLargePages), 0)).toBe('split');
  });

  test('are left to what tells more of them', () => {
    expect(given(sampled(1, [0, 1])).when(judge(regions, bits))).toEqual(events());
  });

  test('stay small, since a bit that was set once stays so', () => {
    const split = judged('LargePageSplit', { capture: 1 }, row(1, 0, { pattern: 1 }));
    expect(given(split).when(judge(regions, bits))).toEqual(events());
    expect(given(split).when(judge(regions))).not.toEqual(events());
  });
});

describe('regions that were looked at', () => {
  const past = sampled(1, [0, 3]);

  test('are split where they are cold and have something to give, else restored', () => {
    const regions = { 0: seen(3, 0, ZERO), 1: seen(4, 1, ZERO), 2: seen(0, 2) };
    expect(given(past).when(judge(regions))).toEqual(
      events(
        judged('LargePageSplit', {}, row(0, 3, { pattern: 1 })),
        judged('LargePageRestored', {}, row(2, 0), row(1, 4, { pattern: 1 })),
      ),
    );
  });

  test('stay as they are where nobody knows of their accesses, or no time has passed', () => {
    expect(given(past).when(judge({ 0: seen(null, 0, ZERO) }))).toEqual(events());
    const early = judge({ 0: seen(0, 0, ZERO) }, { since: 1 });
    expect(given(sampled(2, [0, 3])).when(early)).toEqual(events());
    expect(given().when(judge({ 0: seen(0, 0, ZERO) }))).toEqual(events());
  });

  test('are ranked by activity, then by what they have to give', () => {
    const choice = { _tag: 'coldest', count: 2 } as const;
    const regions = {
      0: seen(7, 0, ZERO, ZERO),
      1: seen(7, 1, ZERO, ZERO, ZERO),
      2: seen(9, 2, ZERO),
      3: seen(1, 3, ZERO),
    };
    const command = judge(regions, { policy: { measure: 'distinct', choice } });
    expect(given(past).when(command)).toEqual(
      events(
        judged(
          'LargePageSplit',
          { threshold: 8 },
          row(3, 1, { pattern: 1 }),
          row(1, 7, { pattern: 3 }),
        ),
        judged(
          'LargePageRestored',
          { threshold: 8 },
          row(0, 7, { pattern: 2 }),
          row(2, 9, { pattern: 1 }),
        ),
      ),
    );
  });

  test('that give something by themselves go before those that need another', () => {
    const choice = { _tag: 'coldest', count: 1 } as const;
    const regions = {
      0: seen(0, 0, content(1), content(2), content(3)),
      1: seen(0, 1, content(1), content(2), content(3)),
      2: seen(0, 2, ZERO, ZERO),
    };
    const command = judge(regions, { policy: { measure: 'distinct', choice } });
    const [split] = [given(past).when(command)].flatMap((of) =>
      of._tag === 'Right' ? of.right.filter(({ type }) => type === 'LargePageSplit') : [],
    );
    expect(split).toEqual(judged('LargePageSplit', { threshold: 1 }, row(2, 0, { pattern: 2 })));
  });

  test('give what is held small elsewhere, by one split before, or by themselves', () => {
    const held = emptyHeld();
    held.add(Uint32Array.of(content(1)));
    const regions = {
      0: seen(0, 0, content(1), content(2), content(2), UNKNOWN),
      1: seen(1, 1, content(2), content(3)),
    };
    expect(given(past).when(judge(regions, { held }))).toEqual(
      events(
        judged('LargePageSplit', {}, row(0, 0, { shareable: 2 }), row(1, 1, { shareable: 1 })),
      ),
    );
  });

  test('give what two of them hold alike: the first keeps its own', () => {
    const regions = {
      0: seen(2, 0, content(1), content(2)),
      1: seen(1, 1, content(2)),
      2: seen(9, 2, content(1)),
    };
    expect(given(past).when(judge(regions))).toEqual(
      events(
        judged('LargePageSplit', {}, row(1, 1), row(0, 2, { shareable: 1 })),
        judged('LargePageRestored', {}, row(2, 9, { shareable: 1 })),
      ),
    );
  });

  test('are all split that have something to give where memory is scarce', () => {
    const regions = { 0: seen(400, 0, ZERO), 1: seen(0, 1) };
    expect(given(past).when(judge(regions, { memory: 'soft' }))).toEqual(
      events(
        judged('LargePageSplit', { threshold: null }, row(0, 400, { pattern: 1 })),
        judged('LargePageRestored', { threshold: null }, row(1, 0)),
      ),
    );
  });
});

describe('regions that are held small', () => {
  const past = [sampled(1, [0, 0]), judged('LargePageSplit', { capture: 2 }, row(0, 3))];

  test('stay so until they are accessed twice as much as they may be', () => {
    expect(given(...past).when(judge({ 0: seen(7, 0, ZERO) }, { since: 2 }))).toEqual(events());
    expect(given(...past).when(judge({ 0: seen(8, 0, ZERO) }, { since: 2 }))).toEqual(
      events(judged('LargePageRestored', { since: 2 }, row(0, 8, { pattern: 1 }))),
    );
  });

  test('stay so where memory is scarce', () => {
    const command = judge({ 0: seen(512, 0, ZERO) }, { since: 2, memory: 'low' });
    expect(given(...past).when(command)).toEqual(events());
  });
});

test('what is left behind the last whole region is none', () => {
  expect([0, 511, 512, 1025].map(regionsIn)).toEqual([0, 0, 1, 2]);
});

const REGIONS = 4;
const CONTENTS = 30;
/** What a host holds: pages one by one of what is small, whole regions of what is large. */
function pagesHeld(memory: readonly Uint32Array[], state: LargePages): number {
  const contents = new Set<number>();
  let large = 0;
  for (const [region, pages] of memory.entries())
    if (decisionOf(state, region) !== 'split') large += REGION_PAGES;
    else for (const holding of pages) if (isContent(holding)) contents.add(holding);
  return large + contents.size;
}

test('however regions are looked at and decided on, splitting frees as many bytes as it says', () => {
  const holding = fc.oneof(
    fc.constant(ZERO),
    fc.nat(CONTENTS - 1).map((n) => content(n)),
  );
  const memory = fc.array(fc.array(holding, { minLength: 1, maxLength: 8 }), {
    minLength: REGIONS,
    maxLength: REGIONS,
  });
  const step = fc.record({
    count: fc.nat(REGIONS),
    activities: fc.array(fc.nat(12), { minLength: REGIONS, maxLength: REGIONS }),
    choice: fc.oneof(
      fc.nat(10).map((threshold) => ({ _tag: 'below', threshold }) as const),
      fc.nat(3).map((count) => ({ _tag: 'coldest', count }) as const),
    ),
    memory: fc.constantFrom('high' as const, 'soft' as const),
  });
  fc.assert(
    fc.property(memory, fc.array(step, { maxLength: 8 }), (firsts, steps) => {
      const regions = firsts.map((first, region) => seen(0, region, ...first).pages);
      let state = initialLargePages;
      for (const [i, { count, activities, choice, memory: how }] of steps.entries()) {
        const capture = i + 1;
        const seenNow = regions.map(
          (pages, region) => [region, { activity: activities[region]!, pages }] as const,
        );
        const decided = decideLargePages(state)({
          ...judge(
            {},
            { since: capture - 1, capture, memory: how, policy: { measure: 'distinct', choice } },
          ),
          seen: new Map(seenNow),
        });
        if (decided._tag === 'Left') throw new TypeError('nothing here is refused');
        const before = state;
        state = decided.right.reduce(evolveLargePages, state);
        const splits = decided.right.filter(({ type }) => type === 'LargePageSplit');
        const rows = splits.flatMap(({ data }) => data.regions as readonly RegionRow[]);
        const split = new Set(rows.map(({ region }) => region));
        // Those that are hot become large first.
        const unsplit = new Map(state);
        for (const region of split) unsplit.set(region, before.get(region)!);
        const freed = (pagesHeld(regions, unsplit) - pagesHeld(regions, state)) * PAGE_BYTES;
        expect(freed).toBe(rows.reduce((sum, { bytes }) => sum + bytes, 0));
        expect([...split].filter((region) => before.get(region)?._tag !== 'sampled')).toEqual([]);
        expect(split.size === 0 || freed > 0).toBe(true);
        const most = choice._tag === 'coldest' && how === 'high' ? choice.count : REGIONS;
        expect(split.size).toBeLessThanOrEqual(most);
        const next = decideLargePages(state)(sample(count, { capture, regions: REGIONS }));
        if (next._tag === 'Right') state = next.right.reduce(evolveLargePages, state);
      }
    }),
    { numRuns: triesOf(200) },
  );
});
