// Puts pages with common stretches of bytes side by side, so that a block that
// is compressed as one holds them together. Pages are known by their sketches (page-engine.ts).
//
// Greedy, in one pass: each page joins the group that most of its features were last seen in, where
// these are at least FEATURES_MIN and the group is not full; else it begins one. The same sketches
// give the same order everywhere.

import { assert } from './assert.ts';
import { NO_FEATURE, SKETCH_FEATURES } from '../ports/page-engine.ts';

/** Most pages that are put in order at once: the table of features takes 32 MiB then. */
export const GROUPED_PAGES_MAX = 2 ** 18;

/**
 * Of a real guest's pages one feature in common is often chance or a phrase that everything has; with
 * two or more the blocks came out 3 % smaller, with four 4 % larger.
 */
const FEATURES_MIN = 2;
/** No group, and no page. */
const NONE = -1;
/** Slots of the table for each feature that may be in it, so that a look-up is short. */
const SLOTS_PER_FEATURE = 2;
/** Odd, so that neighbouring features do not fall into neighbouring slots. */
const SLOT_FACTOR = 0x9e37_79b1;

/** The group in which each feature was seen last: open addressing over two columns. */
class FeatureTable {
  readonly #features: Uint32Array;
  readonly #groups: Int32Array;
  readonly #shift: number;

  constructor(featuresMax: number) {
    const bits = Math.max(1, Math.ceil(Math.log2(featuresMax * SLOTS_PER_FEATURE)));
    this.#features = new Uint32Array(2 ** bits);
    this.#groups = new Int32Array(2 ** bits).fill(NONE);
    this.#shift = 32 - bits;
  }

  groupOf(feature: number): number {
    return this.#groups[this.#slotOf(feature)]!;
  }

  set(feature: number, group: number): void {
    const slot = this.#slotOf(feature);
    this.#features[slot] = feature;
    this.#groups[slot] = group;
  }

  /** Where the feature is, or the free slot where it goes. */
  #slotOf(feature: number): number {
    const mask = this.#groups.length - 1;
    let slot = Math.imul(feature, SLOT_FACTOR) >>> this.#shift;
    while (this.#groups[slot] !== NONE && this.#features[slot] !== feature)
      slot = (slot + 1) & mask;
    return slot;
  }
}

/** The groups so far, each a chain of its pages in their order. */
class Groups {
  readonly #heads: Int32Array;
  readonly #tails: Int32Array;
  readonly #sizes: Uint32Array;
  readonly #following: Int32Array;
  #count = 0;

  constructor(pagesMax: number) {
    this.#heads = new Int32Array(pagesMax);
    this.#tails = new Int32Array(pagesMax);
    this.#sizes = new Uint32Array(pagesMax);
    this.#following = new Int32Array(pagesMax).fill(NONE);
  }

  sizeOf(group: number): number {
    return this.#sizes[group]!;
  }

  begin(page: number): number {
    const group = this.#count;
    this.#count += 1;
    this.#heads[group] = page;
    this.#tails[group] = page;
    this.#sizes[group] = 1;
    return group;
  }

  join(group: number, page: number): void {
    this.#following[this.#tails[group]!] = page;
    this.#tails[group] = page;
    this.#sizes[group]! += 1;
  }

  /** All pages: those of groups of several, by the groups' first pages, then those left alone. */
  order(pageCount: number): Uint32Array {
    const order = new Uint32Array(pageCount);
    let placed = 0;
    for (const areAlone of [false, true])
      for (let group = 0; group < this.#count; group += 1) {
        if ((this.#sizes[group] === 1) !== areAlone) continue;
        for (let page = this.#heads[group]!; page !== NONE; page = this.#following[page]!) {
          order[placed] = page;
          placed += 1;
        }
      }
    assert(placed === pageCount, 'every page is in one group');
    return order;
  }
}

/** The group that most of a page's features are in, and enough of them, or NONE. Ties: the first. */
function bestGroup(candidates: Int32Array, count: number): number {
  let best = NONE;
  let votesMax = FEATURES_MIN - 1;
  for (let i = 0; i < count; i += 1) {
    let votes = 0;
    for (let j = 0; j < count; j += 1) if (candidates[j] === candidates[i]) votes += 1;
    if (votes > votesMax) {
      votesMax = votes;
      best = candidates[i]!;
    }
  }
  return best;
}

/**
 * Numbers of the pages of these sketches (SKETCH_FEATURES a page, at most GROUPED_PAGES_MAX pages),
 * in an order in which similar ones follow each other, in groups of at most `groupPagesMax`.
 */
export function groupSimilar(
  sketches: Uint32Array,
  { groupPagesMax }: { readonly groupPagesMax: number },
): Uint32Array {
  const pageCount = sketches.length / SKETCH_FEATURES;
  assert(Number.isInteger(pageCount), 'sketches are whole');
  assert(
    pageCount <= GROUPED_PAGES_MAX,
    'no more pages are grouped at once than there is room for',
  );
  const table = new FeatureTable(Math.max(1, sketches.length));
  const groups = new Groups(pageCount);
  const candidates = new Int32Array(SKETCH_FEATURES);
  for (let page = 0; page < pageCount; page += 1) {
    const first = page * SKETCH_FEATURES;
    let end = first;
    let count = 0;
    for (; end < first + SKETCH_FEATURES && sketches[end] !== NO_FEATURE; end += 1) {
      const group = table.groupOf(sketches[end]!);
      if (group === NONE || groups.sizeOf(group) >= groupPagesMax) continue;
      candidates[count] = group;
      count += 1;
    }
    let group = bestGroup(candidates, count);
    if (group === NONE) group = groups.begin(page);
    else groups.join(group, page);
    for (let i = first; i < end; i += 1) table.set(sketches[i]!, group);
  }
  return groups.order(pageCount);
}
