// The decider of a host's memory, by examples and against a model of a host: clones that read and write
// pages of one base at random, and limits.

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  decideRelief,
  haveGotOn,
  hostBudget,
  limitBudget,
  takenBytes,
  type HeldMemory,
  type ReliefPlan,
} from '../../domain/host-relief.ts';
import { countsOfClone, initialHostMemory, type HostMemory } from '../../domain/host-memory.ts';
import type { MemoryState } from '../../domain/memory-pressure.ts';
import {
  ClonedHost,
  CLONES as LEASES,
  fileOf,
  hostStep,
  type HostStep,
} from '../support/hosts/cloned-host.ts';

const [A, B] = [LEASES[0]!, LEASES[1]!];

/** What is decided of clones that are held to a limit. */
const plan = (
  now: readonly HeldMemory[],
  limitBytes: number,
  {
    memory = 'high',
    clones = initialHostMemory,
  }: { memory?: MemoryState; clones?: HostMemory } = {},
): ReliefPlan =>
  decideRelief({ memory, clones })({
    _tag: 'RelieveHost',
    budget: limitBudget(limitBytes, now),
    held: now,
  });

const dropsOf = ({ steps }: ReliefPlan) =>
  steps.flatMap(({ remedy, clone, bytes }) =>
    remedy === 'drop unmodified' ? [{ clone, bytes }] : [],
  );
const parksOf = ({ steps }: ReliefPlan) =>
  steps.flatMap(({ remedy, clone }) => (remedy === 'write out modified' ? [clone] : []));

const held = (clone: string, more: Partial<HeldMemory> = {}): HeldMemory => ({
  clone,
  bytes: 1600,
  droppableBytes: 800,
  activity: 5,
  ...more,
});

describe('clones of a host', () => {
  test('keep what they have until less than 2 % are free', () => {
    const both = [held('a'), held('b')];
    expect(plan(both, 3500)).toEqual({ memory: 'high', steps: [], excessBytes: 0 });
    expect(plan(both, 3300)).toEqual({ memory: 'soft', steps: [], excessBytes: 0 });
    expect(plan(both, 3250)).toMatchObject({ memory: 'hard', excessBytes: 0 });
    expect(dropsOf(plan(both, 3250))).toEqual([{ clone: 'a', bytes: 145 }]);
  });

  test('drop until 6 % are free, the least active first', () => {
    const both = [held('a', { activity: 9 }), held('b', { activity: 1 })];
    expect(plan(both, 3100)).toEqual({
      memory: 'low',
      steps: [{ remedy: 'drop unmodified', clone: 'b', bytes: 100 + 186 }],
      excessBytes: 0,
    });
    expect(dropsOf(plan(both, 2000))).toEqual([
      { clone: 'b', bytes: 800 },
      { clone: 'a', bytes: 520 },
    ]);
  });

  test('drop on where memory was scarce, until it is not', () => {
    const both = [held('a'), held('b')];
    expect(dropsOf(plan(both, 3300, { memory: 'hard' }))).toEqual([{ clone: 'a', bytes: 98 }]);
    expect(plan(both, 3340, { memory: 'hard' })).toMatchObject({ memory: 'soft', steps: [] });
  });

  test('of equally active ones who has the most to drop goes first', () => {
    const both = [held('a'), held('b', { droppableBytes: 900 })];
    expect(dropsOf(plan(both, 3190)).map(({ clone }) => clone)).toEqual(['b']);
  });

  test('of equally active ones who fetched the least of what went again goes first', () => {
    const both = [held(A), held(B)];
    const host = new ClonedHost();
    for (const clone of [0, 1]) host.take({ _tag: 'start', clone });
    const touch = (clone: number, page: number) => host.take({ _tag: 'touch', clone, page });
    const first = () =>
      dropsOf(plan(both, 3190, { clones: host.memory })).map(({ clone }) => clone)[0];
    for (const page of [0, 1, 2, 3]) touch(0, page);
    host.look();
    host.take({ _tag: 'drop', file: 0, pages: [0, 1, 2, 3] });
    host.look();
    expect(first()).toBe(A);
    for (const page of [0, 1, 2, 3]) touch(0, page);
    host.look();
    expect(countsOfClone(host.memory, A)).toMatchObject({ evicted: 4, refetched: 4 });
    expect(first()).toBe(B);
  });

  test('never drop what they wrote: what is missing then is told', () => {
    expect(plan([held('a', { droppableBytes: 0 })], 1000)).toEqual({
      memory: 'low',
      steps: [],
      excessBytes: 660,
    });
    expect(plan([held('a', { droppableBytes: 100 })], 1000)).toEqual({
      memory: 'low',
      steps: [{ remedy: 'drop unmodified', clone: 'a', bytes: 100 }],
      excessBytes: 560,
    });
  });
});

describe('clones whose written pages are more than they may take', () => {
  const three = [
    held('a', { activity: 9, droppableBytes: 0 }),
    held('b', { activity: 1, droppableBytes: 600 }),
    held('c', { activity: 4, droppableBytes: 100 }),
  ];

  test('are parked until the rest fits, the least active first, after all is dropped', () => {
    expect(plan(three, 3300)).toEqual({
      memory: 'low',
      steps: [
        { remedy: 'drop unmodified', clone: 'b', bytes: 600 },
        { remedy: 'drop unmodified', clone: 'c', bytes: 100 },
        { remedy: 'write out modified', clone: 'b', bytes: 1000 },
      ],
      excessBytes: 998,
    });
    expect(parksOf(plan(three, 3000))).toEqual(['b', 'c']);
  });

  test('are never all parked: the most active one runs on', () => {
    expect(parksOf(plan(three, 0))).toEqual(['b', 'c']);
    expect(parksOf(plan(three.slice(0, 1), 0))).toEqual([]);
  });

  test('are not parked where dropping is enough, or 1 % is free', () => {
    expect(plan(three, 4400)).toMatchObject({ memory: 'low', excessBytes: 0 });
    expect(parksOf(plan(three, 4400))).toEqual([]);
    const written = three.map((each) => ({ ...each, droppableBytes: 5 }));
    expect(plan(written, 4870)).toMatchObject({ memory: 'hard', excessBytes: 0 });
    expect(parksOf(plan(written, 4870))).toEqual([]);
  });
});

test('clones that dropped something are left alone until they have got on, for two to thirty seconds', () => {
  const of = (ms: number, processorMs: number, clones = 4): boolean =>
    haveGotOn({ ms, processorMs, clones });
  expect([of(0, 0), of(1_999, 60_000), of(2_000, 999), of(29_999, 999)]).not.toContain(true);
  expect([of(2_000, 1_000), of(12_000, 1_000), of(30_000, 0), of(2_000, 0, 0)]).not.toContain(
    false,
  );
});

describe('clones that may take what their host has', () => {
  const both = [held('a', { activity: 9 }), held('b', { activity: 1 })];
  const planOf = (availableBytes: number): ReliefPlan =>
    decideRelief({ memory: 'high', clones: initialHostMemory })({
      _tag: 'RelieveHost',
      budget: hostBudget({ bytes: 100_000, availableBytes }, both),
      held: both,
    });

  test('do so while something is available beside what they could drop', () => {
    expect(planOf(6000)).toEqual({ memory: 'high', steps: [], excessBytes: 0 });
    expect(planOf(4000)).toEqual({ memory: 'soft', steps: [], excessBytes: 0 });
  });

  test('drop, and are parked, where nothing is', () => {
    expect(planOf(3500)).toEqual({
      memory: 'hard',
      steps: [
        { remedy: 'drop unmodified', clone: 'b', bytes: 800 },
        { remedy: 'drop unmodified', clone: 'a', bytes: 800 },
      ],
      excessBytes: 0,
    });
    expect(planOf(2500)).toEqual({
      memory: 'low',
      steps: [
        { remedy: 'drop unmodified', clone: 'b', bytes: 800 },
        { remedy: 'drop unmodified', clone: 'a', bytes: 800 },
        { remedy: 'write out modified', clone: 'b', bytes: 800 },
      ],
      excessBytes: 3500,
    });
  });
});

const CLONES = ['a', 'b', 'c', 'd'];
const PAGES = 24;
type Step =
  | { readonly _tag: 'reads' | 'writes'; readonly clone: number; readonly page: number }
  | { readonly _tag: 'limits'; readonly pages: number };

/** A host: which clones have pages of their own, which pages of the base lie in its cache, and for whom. */
class Host {
  readonly own = CLONES.map(() => new Map<number, number>());
  readonly cache = new Map<number, number>();
  readonly activity = CLONES.map(() => 0);
  writes = 0;

  reads(clone: number, page: number): void {
    this.activity[clone]! += 1;
    if (!this.own[clone]!.has(page) && !this.cache.has(page)) this.cache.set(page, clone);
  }

  writesTo(clone: number, page: number): void {
    this.reads(clone, page);
    this.writes += 1;
    this.own[clone]!.set(page, this.writes);
  }

  held(): HeldMemory[] {
    return CLONES.map((clone, i) => {
      const cached = [...this.cache.values()].filter((of) => of === i).length;
      return {
        clone,
        bytes: this.own[i]!.size + cached,
        droppableBytes: cached,
        activity: this.activity[i]!,
      };
    });
  }

  /** The kernel drops pages of a clone, in an order of its own: how many it could not find. */
  drops(clone: string, pages: number): number {
    const of = CLONES.indexOf(clone);
    let left = pages;
    for (const [page, by] of this.cache)
      if (by === of && left > 0) {
        this.cache.delete(page);
        left -= 1;
      }
    return left;
  }
}

test('whatever clones do, dropping brings them to the limit, or to what they wrote, and loses none of it', () => {
  const of = { clone: fc.nat(CLONES.length - 1), page: fc.nat(PAGES - 1) };
  const step: fc.Arbitrary<Step> = fc.oneof(
    fc.record({ _tag: fc.constantFrom('reads', 'writes'), ...of }),
    fc.record({ _tag: fc.constant('limits' as const), pages: fc.nat(CLONES.length * PAGES) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const host = new Host();
      let limit = CLONES.length * PAGES;
      for (const each of steps) {
        if (each._tag === 'limits') limit = each.pages;
        else if (each._tag === 'reads') host.reads(each.clone, each.page);
        else host.writesTo(each.clone, each.page);
        const before = host.held();
        const written = host.own.map((pages) => [...pages]);
        const planned = plan(before, limit);
        const { memory, excessBytes } = planned;
        const [evictions, parks] = [dropsOf(planned), parksOf(planned)];
        expect(takenBytes(before) <= limit || memory === 'low').toBe(true);
        const isScarce = memory === 'hard' || memory === 'low';
        expect(isScarce || planned.steps.length === 0).toBe(true);
        expect(new Set(evictions.map(({ clone }) => clone)).size).toBe(evictions.length);
        for (const { clone, bytes } of evictions) expect(host.drops(clone, bytes)).toBe(0);
        expect(takenBytes(host.held()) - excessBytes).toBeLessThanOrEqual(limit);
        expect(excessBytes === 0 || host.cache.size === 0).toBe(true);
        expect(host.own.map((pages) => [...pages])).toEqual(written);
        // What is written out by parking is enough, or all that wrote are parked but one.
        const writtenBy = (clone: string): number => host.own[CLONES.indexOf(clone)]!.size;
        const freed = parks.reduce((sum, clone) => sum + writtenBy(clone), 0);
        const running = CLONES.filter((clone) => writtenBy(clone) > 0 && !parks.includes(clone));
        expect(freed >= excessBytes || running.length <= 1).toBe(true);
        const last = parks.at(-1);
        expect(last === undefined || freed - writtenBy(last) < excessBytes).toBe(true);
      }
    }),
  );
});

/** A host whose clones are held to a limit by what is folded of them; a page counts for who brought it. */
class LimitedHost extends ClonedHost {
  readonly #brought = new Map<string, number>();
  readonly #touches = new Map<number, number>();
  /** Pages that were dropped while a clone had them, and pages that parked clones had of their own. */
  evicted = 0;
  writtenOut = 0;

  override take(step: HostStep): void {
    const of = 'clone' in step ? this.running.get(step.clone) : undefined;
    if (step._tag === 'park') this.writtenOut += of?.own.size ?? 0;
    if ((step._tag === 'touch' || step._tag === 'write') && of?.own.has(step.page) === false) {
      const key = `${fileOf(step.clone)} ${step.page}`;
      this.#touches.set(step.clone, (this.#touches.get(step.clone) ?? 0) + 1);
      if (!this.#brought.has(key)) this.#brought.set(key, step.clone);
    }
    super.take(step);
    for (const key of this.#brought.keys()) {
      const [file, page] = key.split(' ').map(Number);
      if (!this.cache[file!]!.has(page!)) this.#brought.delete(key);
    }
  }

  #of(clone: number): string[] {
    return [...this.#brought].flatMap(([key, by]) => (by === clone ? [key] : []));
  }

  /** What each takes, a page for a byte. */
  taken(): HeldMemory[] {
    return [...this.running].map(([clone, { own }]) => {
      const droppableBytes = this.#of(clone).length;
      const activity = this.#touches.get(clone) ?? 0;
      return { clone: LEASES[clone]!, bytes: own.size + droppableBytes, droppableBytes, activity };
    });
  }

  /** The kernel drops so many pages that a clone brought. */
  drop(clone: number, count: number): void {
    for (const key of this.#of(clone).slice(0, count)) {
      const [file, page] = key.split(' ').map(Number);
      const isMapped = [...this.running].some(
        ([of, { mapped }]) => fileOf(of) === file && mapped.has(page!),
      );
      this.evicted += isMapped ? 1 : 0;
      this.take({ _tag: 'drop', file: file!, pages: [page!] });
    }
  }

  get own(): unknown {
    return [...this.running].map(([clone, { own }]) => [clone, [...own]]);
  }
}

test('clones that are held to a limit stay below it, lose nothing that they wrote, and are counted', () => {
  const steps = fc.array(
    hostStep.filter(({ _tag }) => _tag !== 'drop'),
    { maxLength: 100 },
  );
  fc.assert(
    fc.property(steps, fc.integer({ min: 1, max: 40 }), (list, limit) => {
      const host = new LimitedHost();
      let before = 0;
      for (const step of list) {
        host.take(step);
        host.look();
        const now = host.taken();
        // A step brings a page, and makes one its clone's own.
        expect(takenBytes(now)).toBeLessThanOrEqual(before + 2);
        const planned = plan(now, limit, { clones: host.memory });
        const { own } = host;
        for (const { clone, bytes } of dropsOf(planned)) host.drop(LEASES.indexOf(clone), bytes);
        host.look();
        expect(host.own).toEqual(own);
        for (const clone of parksOf(planned))
          host.take({ _tag: 'park', clone: LEASES.indexOf(clone) });
        before = takenBytes(host.taken());
        expect(before <= limit || host.running.size === 1).toBe(true);
      }
      const { evicted = 0, refetched = 0, writtenOut = 0 } = host.memory.hosts.get('one') ?? {};
      expect({ evicted, writtenOut }).toEqual({
        evicted: host.evicted,
        writtenOut: host.writtenOut,
      });
      expect(refetched).toBeLessThanOrEqual(evicted);
    }),
  );
});
