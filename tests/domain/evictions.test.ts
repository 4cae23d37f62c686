// The eviction decider, by examples and against a model of a host: clones that read and write pages of one
// base at random, and limits.

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  decideEvictions,
  takenBytes,
  type EvictionPlan,
  type HeldMemory,
} from '../../domain/evictions.ts';
import { countsOfClone, initialHostMemory, type HostMemory } from '../../domain/host-memory.ts';
import {
  ClonedHost,
  CLONES as LEASES,
  fileOf,
  hostStep,
  type HostStep,
} from '../support/cloned-host.ts';

const [A, B] = [LEASES[0]!, LEASES[1]!];

/** What is decided where nothing was dropped before. */
const planEvictions = (
  now: readonly HeldMemory[],
  limitBytes: number,
  memory: HostMemory = initialHostMemory,
): EvictionPlan => decideEvictions(memory)({ _tag: 'HoldToLimit', held: now, limitBytes });

const held = (clone: string, more: Partial<HeldMemory> = {}): HeldMemory => ({
  clone,
  bytes: 1600,
  droppableBytes: 800,
  activity: 5,
  ...more,
});

describe('clones of a host', () => {
  test('keep what they have up to the limit', () => {
    expect(planEvictions([held('a'), held('b')], 3200)).toEqual({
      evictions: [],
      excessBytes: 0,
      parks: [],
    });
  });

  test('drop what is above it and a sixteenth more, the least active first', () => {
    const both = [held('a', { activity: 9 }), held('b', { activity: 1 })];
    expect(planEvictions(both, 3100)).toEqual({
      evictions: [{ clone: 'b', bytes: 100 + 194 }],
      excessBytes: 0,
      parks: [],
    });
    expect(planEvictions(both, 2000).evictions).toEqual([
      { clone: 'b', bytes: 800 },
      { clone: 'a', bytes: 525 },
    ]);
  });

  test('of equally active ones who has the most to drop goes first', () => {
    const both = [held('a'), held('b', { droppableBytes: 900 })];
    expect(planEvictions(both, 3190).evictions.map(({ clone }) => clone)).toEqual(['b']);
  });

  test('of equally active ones who fetched the least of what went again goes first', () => {
    const both = [held(A), held(B)];
    const host = new ClonedHost();
    for (const clone of [0, 1]) host.take({ _tag: 'start', clone });
    const touch = (clone: number, page: number) => host.take({ _tag: 'touch', clone, page });
    const first = () =>
      planEvictions(both, 3190, host.memory).evictions.map(({ clone }) => clone)[0];
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

  test('never drop what they wrote: what is above the limit then is told', () => {
    expect(planEvictions([held('a', { droppableBytes: 0 })], 1000)).toEqual({
      evictions: [],
      excessBytes: 600,
      parks: [],
    });
    expect(planEvictions([held('a', { droppableBytes: 100 })], 1000)).toEqual({
      evictions: [{ clone: 'a', bytes: 100 }],
      excessBytes: 500,
      parks: [],
    });
  });
});

describe('clones whose written pages are more than they may take', () => {
  const three = [
    held('a', { activity: 9, droppableBytes: 0 }),
    held('b', { activity: 1, droppableBytes: 600 }),
    held('c', { activity: 4, droppableBytes: 100 }),
  ];

  test('are parked until the rest fits, the least active first', () => {
    expect(planEvictions(three, 3200)).toMatchObject({ excessBytes: 900, parks: ['b'] });
    expect(planEvictions(three, 3000)).toMatchObject({ excessBytes: 1100, parks: ['b', 'c'] });
  });

  test('are never all parked: the most active one runs on', () => {
    expect(planEvictions(three, 0).parks).toEqual(['b', 'c']);
    expect(planEvictions(three.slice(0, 1), 0).parks).toEqual([]);
  });

  test('are not parked where dropping is enough', () => {
    expect(planEvictions(three, 4200)).toMatchObject({ excessBytes: 0, parks: [] });
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
        const { evictions, excessBytes, parks } = planEvictions(before, limit);
        expect(takenBytes(before) > limit || evictions.length === 0).toBe(true);
        expect(new Set(evictions.map(({ clone }) => clone)).size).toBe(evictions.length);
        for (const { clone, bytes } of evictions) expect(host.drops(clone, bytes)).toBe(0);
        expect(takenBytes(host.held()) - excessBytes).toBeLessThanOrEqual(limit);
        expect(excessBytes === 0 || host.cache.size === 0).toBe(true);
        expect(host.own.map((pages) => [...pages])).toEqual(written);
        // What is written out by parking is enough, or all but one are parked.
        const writtenBy = (clone: string): number => host.own[CLONES.indexOf(clone)]!.size;
        const freed = parks.reduce((sum, clone) => sum + writtenBy(clone), 0);
        expect(freed >= excessBytes || parks.length === CLONES.length - 1).toBe(true);
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
        const plan = planEvictions(now, limit, host.memory);
        const { own } = host;
        for (const { clone, bytes } of plan.evictions) host.drop(LEASES.indexOf(clone), bytes);
        host.look();
        expect(host.own).toEqual(own);
        for (const clone of plan.parks) host.take({ _tag: 'park', clone: LEASES.indexOf(clone) });
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
