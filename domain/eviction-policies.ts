// What other ways to choose a page to drop would have made of the pages that clones touched: a memory of so
// many pages, references in their order, and a policy that picks the victim whenever there is no room. The
// best possible choice, which knows what comes (Belady, "A study of replacement algorithms for a
// virtual-storage computer", 1966: drop what is needed latest), is what they are held against.

import { assert } from './values/assert.ts';

/** Ways to pick a victim, and the best one. */
export const EVICTION_POLICIES = ['lru', 'clock', 'fifo', 'random', 'clone', 'best'] as const;
export type EvictionPolicy = (typeof EVICTION_POLICIES)[number];

/** What clones of a host touched, one after the other. Numbers of pages and clones count from 0 without gaps. */
export interface References {
  readonly pages: Uint32Array;
  /** Who touched each. */
  readonly clones: Uint32Array;
  /** How many different ones there are. */
  readonly pageCount: number;
  readonly cloneCount: number;
}

/** What came of a policy. */
export interface ReplayedEvictions {
  /** References to what was not there. */
  readonly fetched: number;
  readonly evicted: number;
  /** Of what was fetched, what had been there before. */
  readonly refetched: number;
}

/** Picks victims. Each page is told of when it comes, and each time it is touched after. */
interface Chooser {
  /** A page that is there is touched by the reference of this number. */
  touch(page: number, at: number): void;
  /** A page comes by the reference of this number. */
  add(page: number, at: number): void;
  /** Which page goes: one that is there. It is there no more. */
  victim(): number;
}

/** A list of numbers below a count, each in it at most once; all of it in constant time. */
class LinkedNumbers {
  readonly #next: Uint32Array;
  readonly #previous: Uint32Array;
  readonly #end: number;

  constructor(count: number) {
    this.#end = count;
    this.#next = new Uint32Array(count + 1);
    this.#previous = new Uint32Array(count + 1);
    this.#next[count] = count;
    this.#previous[count] = count;
  }

  /** The number after one that is in the list, the first of all after none; null: there is no more. */
  after(number: number | null): number | null {
    const next = this.#next[number ?? this.#end]!;
    return next === this.#end ? null : next;
  }

  append(number: number): void {
    const last = this.#previous[this.#end]!;
    this.#next[last] = number;
    this.#previous[number] = last;
    this.#next[number] = this.#end;
    this.#previous[this.#end] = number;
  }

  remove(number: number): void {
    const [next, previous] = [this.#next[number]!, this.#previous[number]!];
    this.#next[previous] = next;
    this.#previous[next] = previous;
  }
}

function firstOf(list: LinkedNumbers): number {
  const first = list.after(null);
  assert(first !== null, 'a victim is asked for where there are pages');
  return first;
}

/** The one that came first; with `isTouchMoving`, the one that was touched first. */
function inOrder({ pageCount }: References, isTouchMoving: boolean): Chooser {
  const list = new LinkedNumbers(pageCount);
  return {
    add: (page) => list.append(page),
    touch(page) {
      if (!isTouchMoving) return;
      list.remove(page);
      list.append(page);
    },
    victim() {
      const page = firstOf(list);
      list.remove(page);
      return page;
    },
  };
}

/** The one that came first of those that were not touched since it was looked at last. */
function byClock({ pageCount }: References): Chooser {
  const list = new LinkedNumbers(pageCount);
  const touched = new Uint8Array(pageCount);
  return {
    add(page) {
      touched[page] = 0;
      list.append(page);
    },
    touch(page) {
      touched[page] = 1;
    },
    victim() {
      for (;;) {
        const page = firstOf(list);
        list.remove(page);
        if (touched[page] === 0) return page;
        touched[page] = 0;
        list.append(page);
      }
    },
  };
}

/** Begins the numbers of a policy that draws lots: the same each time, so that it can be looked at again. */
const SEED = 0x9e37_79b9;

/** Numbers in [0, 1) that look random (xorshift32, Marsaglia 2003). */
function drawn(): () => number {
  let state = SEED;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

function atRandom(): Chooser {
  const there: number[] = [];
  const draw = drawn();
  return {
    add: (page) => void there.push(page),
    touch: () => undefined,
    victim() {
      const i = Math.floor(draw() * there.length);
      const page = there[i]!;
      there[i] = there.at(-1)!;
      there.pop();
      return page;
    },
  };
}

/** The one that came first of the clone that touched anything longest ago, of those that brought pages. */
function byClone({ pageCount, cloneCount, clones }: References): Chooser {
  const active = new LinkedNumbers(cloneCount);
  const isKnown = new Uint8Array(cloneCount);
  /** By clone, the pages that it brought, in the order in which they came. */
  const brought = new Map<number, Set<number>>();
  const broughtBy = new Uint32Array(pageCount);
  const use = (at: number): number => {
    const clone = clones[at]!;
    if (isKnown[clone] === 1) active.remove(clone);
    isKnown[clone] = 1;
    active.append(clone);
    return clone;
  };
  return {
    add(page, at) {
      const clone = use(at);
      broughtBy[page] = clone;
      const pages = brought.get(clone);
      if (pages === undefined) brought.set(clone, new Set([page]));
      else pages.add(page);
    },
    touch: (_, at) => void use(at),
    victim() {
      for (let clone = active.after(null); clone !== null; clone = active.after(clone)) {
        const [page] = brought.get(clone) ?? [];
        if (page === undefined) continue;
        brought.get(clone)!.delete(page);
        return page;
      }
      throw new RangeError('a victim is asked for where there are pages');
    },
  };
}

/** What is never touched again is touched after all else. */
const NEVER = 2 ** 32 - 1;

/** By reference, the next one of the same page. */
function nextUses({ pages, pageCount }: References): Uint32Array {
  const next = new Uint32Array(pages.length);
  const seen = new Uint32Array(pageCount).fill(NEVER);
  for (let at = pages.length - 1; at >= 0; at -= 1) {
    next[at] = seen[pages[at]!]!;
    seen[pages[at]!] = at;
  }
  return next;
}

/** Pages by when they are touched next, the latest on top: entries that have passed are met and thrown away. */
class LatestFirst {
  readonly #pages: number[] = [];
  readonly #uses: number[] = [];

  push(page: number, use: number): void {
    let i = this.#pages.length;
    while (i > 0) {
      const above = (i - 1) >> 1;
      if (this.#uses[above]! >= use) break;
      this.#pages[i] = this.#pages[above]!;
      this.#uses[i] = this.#uses[above]!;
      i = above;
    }
    this.#pages[i] = page;
    this.#uses[i] = use;
  }

  pop(): { readonly page: number; readonly use: number } {
    const top = { page: this.#pages[0]!, use: this.#uses[0]! };
    const page = this.#pages.pop()!;
    const use = this.#uses.pop()!;
    const count = this.#pages.length;
    if (count === 0) return top;
    let i = 0;
    for (;;) {
      let below = 2 * i + 1;
      if (below >= count) break;
      if (below + 1 < count && this.#uses[below + 1]! > this.#uses[below]!) below += 1;
      if (this.#uses[below]! <= use) break;
      this.#pages[i] = this.#pages[below]!;
      this.#uses[i] = this.#uses[below]!;
      i = below;
    }
    this.#pages[i] = page;
    this.#uses[i] = use;
    return top;
  }
}

/** The one that is touched next the latest. */
function byFuture(references: References): Chooser {
  const next = nextUses(references);
  const heap = new LatestFirst();
  const due = new Uint32Array(references.pageCount);
  const isThere = new Uint8Array(references.pageCount);
  const see = (page: number, at: number): void => {
    isThere[page] = 1;
    due[page] = next[at]!;
    heap.push(page, next[at]!);
  };
  return {
    add: see,
    touch: see,
    victim() {
      for (;;) {
        const { page, use } = heap.pop();
        if (isThere[page] === 0 || due[page] !== use) continue;
        isThere[page] = 0;
        return page;
      }
    },
  };
}

const CHOOSERS: Readonly<Record<EvictionPolicy, (references: References) => Chooser>> = {
  lru: (references) => inOrder(references, true),
  fifo: (references) => inOrder(references, false),
  clock: byClock,
  random: atRandom,
  clone: byClone,
  best: byFuture,
};

/**
 * What a policy makes of references in a memory of so many pages, at least one, that is empty at first.
 * O(references), of the best one O(references x log references).
 */
export function replayEvictions(
  references: References,
  { policy, capacity }: { readonly policy: EvictionPolicy; readonly capacity: number },
): ReplayedEvictions {
  assert(capacity >= 1, 'there is room for a page');
  const chooser = CHOOSERS[policy](references);
  const isThere = new Uint8Array(references.pageCount);
  const wasThere = new Uint8Array(references.pageCount);
  let [there, fetched, evicted, refetched] = [0, 0, 0, 0];
  for (const [at, page] of references.pages.entries()) {
    if (isThere[page] === 1) {
      chooser.touch(page, at);
      continue;
    }
    if (there === capacity) {
      isThere[chooser.victim()] = 0;
      evicted += 1;
    } else there += 1;
    chooser.add(page, at);
    isThere[page] = 1;
    fetched += 1;
    refetched += wasThere[page]!;
    wasThere[page] = 1;
  }
  return { fetched, evicted, refetched };
}
