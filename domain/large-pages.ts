// Large pages of low activity: regions of 2 MiB of a VM's memory, held large (as one unit, nothing in it
// merged) until they are looked at page by page for a while and found cold. Then they are held small, and
// what other pages hold as well, or a pattern describes, needs no memory of its own. One stream a VM says
// so, beside the VM's own: a recorder does not wait for it.
//
// Invariants: a region is split or restored only after it was sampled, and at a later look; what was split
// becomes large again only by more accesses than let it be split; bytes are those of the pages counted.

import * as either from 'fp-ts/lib/Either.js';
import type { Either } from 'fp-ts/lib/Either.js';
import type { EventOf, RegionRow } from './events/control.ts';
import { canReclaim, type MemoryState } from './memory-pressure.ts';
import {
  countRegion,
  emptyHeld,
  sharedAmong,
  type HeldSmall,
  type RegionCounts,
} from './region-pages.ts';
import { rangesOf } from './values/capture-ranges.ts';
import { PAGE_BYTES } from './values/page.ts';

export type LargePagesEvent = EventOf<'LargePageSampled' | 'LargePageSplit' | 'LargePageRestored'>;

/** Where accesses are known from; another word of a later release is read as well. */
export type AccessSource = 'writes' | 'requests' | 'bits';
/** What a region's activity is: its pages that were accessed, or how often they all were. */
export type Measure = 'distinct' | 'total';

/** What has become of a region; one that is not listed is held large and was never looked at. */
export type RegionState =
  | { readonly _tag: 'sampled'; readonly since: number; readonly source: string }
  | { readonly _tag: 'split'; readonly capture: number; readonly row: RegionRow }
  | { readonly _tag: 'restored'; readonly capture: number; readonly row: RegionRow };

/** The regions of one VM, by their numbers: that of a region's first page / 512. */
export type LargePages = ReadonlyMap<number, RegionState>;

export const initialLargePages: LargePages = new Map();

/** Which regions are cold: those of less activity than this, or so many of the least active ones. */
export type Choice =
  | { readonly _tag: 'below'; readonly threshold: number }
  | { readonly _tag: 'coldest'; readonly count: number };

export interface Policy {
  readonly measure: Measure;
  readonly choice: Choice;
}

/** A region as it was seen in an interval. */
export interface SeenRegion {
  /** By the policy's measure; null: nobody knows it, and the region is not cold for that. */
  readonly activity: number | null;
  /** What its pages hold at the end of the interval. */
  readonly pages: Uint32Array;
}

/** Tracks regions page by page from a capture on. */
export interface SampleRegions {
  readonly _tag: 'SampleRegions';
  readonly vm: string;
  readonly capture: number;
  /** Regions that the VM has there, and how many of those that are held large to choose. */
  readonly regions: number;
  readonly count: number;
  readonly source: AccessSource;
}

/** Decides on regions whose accesses up to a capture are known. */
export interface JudgeRegions {
  readonly _tag: 'JudgeRegions';
  readonly vm: string;
  /** Accesses after a capture, or by guests that ran from it, up to another count. */
  readonly since: number;
  readonly capture: number;
  readonly source: AccessSource;
  readonly policy: Policy;
  /** How scarce the memory is that they are held in. */
  readonly memory: MemoryState;
  /** All regions of the VM, by their numbers. */
  readonly seen: ReadonlyMap<number, SeenRegion>;
  /** Contents that are held small beside these: what of a region holds one needs no memory of its own. */
  readonly held: HeldSmall;
}

export type LargePagesCommand = SampleRegions | JudgeRegions;

/** A region that was split is hot again at so many times the activity that it had to stay below. */
const HOT_FACTOR = 2;
/** Most regions of one event: it stays far below what an event may have. */
const EVENT_REGIONS_MAX = 1024;
/** Likewise ranges of regions. */
const EVENT_RANGES_MAX = 4096;

/**
 * How much a source tells: requests tell of reading too, and bits of page tables, which are set until a
 * kernel clears them, of the past of a page rather than of an interval.
 */
const STRENGTH: ReadonlyMap<string, number> = new Map([
  ['bits', 0],
  ['writes', 1],
  ['requests', 2],
]);
const isStronger = (source: AccessSource, than: string): boolean =>
  STRENGTH.get(source)! > (STRENGTH.get(than) ?? Number.POSITIVE_INFINITY);

/** Mixes a region's number with a capture's: which regions come first is another order each time. */
function orderOf(region: number, capture: number): number {
  let mixed = Math.imul(region + 1, 0x9e37_79b1) ^ Math.imul(capture, 0x85eb_ca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0xc2b2_ae35);
  return (mixed ^ (mixed >>> 13)) >>> 0;
}

/**
 * The regions to look at next: of those that are held large the ones never looked at, then those that were
 * longest ago, in an order that is no place's own. O(regions log regions).
 */
export function sampleOf(
  state: LargePages,
  { regions, count, capture, source }: Omit<SampleRegions, '_tag' | 'vm'>,
): readonly number[] {
  const candidates: { region: number; looked: number; order: number }[] = [];
  for (let region = 0; region < regions; region += 1) {
    const now = state.get(region);
    // What is looked at by a source that tells little may be looked at better.
    const isBetter = now?._tag === 'sampled' && isStronger(source, now.source);
    if (now?._tag === 'split' || (now?._tag === 'sampled' && !isBetter)) continue;
    const looked = now?._tag === 'restored' ? now.capture : 0;
    candidates.push({ region, looked, order: orderOf(region, capture) });
  }
  return candidates
    .toSorted((a, b) => a.looked - b.looked || a.order - b.order)
    .slice(0, count)
    .map(({ region }) => region);
}

/** A region to be decided on. */
interface Candidate extends SeenRegion {
  readonly activity: number;
  readonly region: number;
}

/** Pages that need no memory of their own. */
const freed = ({ pattern, shareable }: RegionCounts): number => pattern + shareable;

/** The least active first; of equals those first of which more can be reclaimed. */
export const byRank = (
  a: { readonly activity: number; readonly worth: number; readonly region: number },
  b: typeof a,
): number => a.activity - b.activity || b.worth - a.worth || a.region - b.region;

/** The activity that a region has to stay below to be cold; Infinity: all are, that have anything to give. */
function limitOf({ choice }: Policy, memory: MemoryState, sampled: readonly Candidate[]): number {
  if (canReclaim(memory, 'split sharing')) return Number.POSITIVE_INFINITY;
  if (choice._tag === 'below') return choice.threshold;
  const activities = sampled.map(({ activity }) => activity).toSorted((a, b) => a - b);
  const last = activities.slice(0, choice.count).at(-1);
  return last === undefined ? 0 : last + 1;
}

/** The regions in a state whose accesses are known since then. */
function candidatesIn(
  tag: 'sampled' | 'split',
  state: LargePages,
  { since, seen, source }: JudgeRegions,
): readonly Candidate[] {
  // A bit that was set once stays so: it is no sign that what was found cold is hot.
  if (tag === 'split' && source === 'bits') return [];
  const known: Candidate[] = [];
  for (const [region, { activity, pages }] of seen) {
    const now = state.get(region);
    if (now?._tag !== tag || activity === null) continue;
    // What is looked at by what tells more is left to that.
    if (source === 'bits' && now._tag === 'sampled' && now.source !== source) continue;
    // What was looked at, or held small, later than that was not seen for so long.
    if ((now._tag === 'sampled' ? now.since : now.capture) > since) continue;
    known.push({ activity, pages, region });
  }
  return known;
}

/** Regions in their ranks. What one gives by itself counts twice what it gives only if another of them goes too. */
function ranked(
  regions: readonly Candidate[],
  held: readonly Pick<HeldSmall, 'has'>[],
): readonly Candidate[] {
  const shared = sharedAmong(regions.map(({ pages }) => pages));
  const worthOf = ({ pages }: Candidate): number =>
    freed(countRegion(pages, held)) + freed(countRegion(pages, [...held, shared]));
  return regions
    .map((of) => ({ activity: of.activity, region: of.region, worth: worthOf(of), of }))
    .toSorted(byRank)
    .map(({ of }) => of);
}

/** What becomes of regions. */
interface Verdict {
  /** Of those that were held small: they are hot. */
  readonly hot: readonly RegionRow[];
  readonly split: readonly RegionRow[];
  readonly kept: readonly RegionRow[];
  readonly limit: number;
}

/** Takes the hot ones out of what is held small, and then the cold in: each frees what is held before it. */
function judge(state: LargePages, command: JudgeRegions): Verdict {
  const { policy, memory, seen, held } = command;
  const { choice } = policy;
  const sampled = candidatesIn('sampled', state, command);
  const limit = limitOf(policy, memory, sampled);
  const hot = candidatesIn('split', state, command).filter(
    ({ activity }) => activity >= Math.max(1, limit * HOT_FACTOR),
  );
  const hotRegions = new Set(hot.map(({ region }) => region));
  const own = emptyHeld();
  for (const [region, { pages }] of seen)
    if (state.get(region)?._tag === 'split' && !hotRegions.has(region)) own.add(pages);
  const small = [held, own];
  const rowOf = ({ region, activity, pages }: Candidate): RegionRow => {
    const { pattern, shareable } = countRegion(pages, small);
    const bytes = freed({ pattern, shareable }) * PAGE_BYTES;
    return { region, activity, shareable, pattern, bytes };
  };
  const restored = ranked(hot, small).map(rowOf);
  const isLimited = choice._tag === 'coldest' && Number.isFinite(limit);
  const cold = ranked(
    sampled.filter(({ activity }) => activity < limit),
    small,
  ).slice(0, isLimited ? choice.count : Number.POSITIVE_INFINITY);
  const among = sharedAmong(cold.map(({ pages }) => pages));
  const gives = ({ pages }: Candidate): boolean => freed(countRegion(pages, [...small, among])) > 0;
  const chosen = cold.filter(gives);
  const split = chosen.map((each) => {
    const row = rowOf(each);
    own.add(each.pages);
    return row;
  });
  const isChosen = new Set(chosen);
  const kept = ranked(
    sampled.filter((each) => !isChosen.has(each)),
    small,
  ).map(rowOf);
  return { hot: restored, split, kept, limit };
}

/** Events of what was decided, of so many regions each at most. */
function eventsOf(
  type: 'LargePageSplit' | 'LargePageRestored',
  { vm, capture, since, source, policy: { measure } }: JudgeRegions,
  { rows, limit }: { readonly rows: readonly RegionRow[]; readonly limit: number },
): LargePagesEvent[] {
  const threshold = Number.isFinite(limit) ? limit : null;
  const events: LargePagesEvent[] = [];
  for (let at = 0; at < rows.length; at += EVENT_REGIONS_MAX) {
    const regions = rows.slice(at, at + EVENT_REGIONS_MAX);
    events.push({ type, data: { vm, capture, since, source, measure, threshold, regions } });
  }
  return events;
}

/** What looking at regions, or deciding on them, brings about: nothing where there is nothing to do. */
export const decideLargePages =
  (state: LargePages) =>
  (command: LargePagesCommand): Either<never, readonly LargePagesEvent[]> => {
    switch (command._tag) {
      case 'SampleRegions': {
        const { vm, capture, source } = command;
        const ranges = rangesOf(sampleOf(state, command));
        const events: LargePagesEvent[] = [];
        for (let at = 0; at < ranges.length; at += EVENT_RANGES_MAX) {
          const regions = ranges.slice(at, at + EVENT_RANGES_MAX);
          events.push({ type: 'LargePageSampled', data: { vm, capture, source, regions } });
        }
        return either.right(events);
      }
      case 'JudgeRegions': {
        const { hot, split, kept, limit } = judge(state, command);
        return either.right([
          ...eventsOf('LargePageRestored', command, { rows: hot, limit }),
          ...eventsOf('LargePageSplit', command, { rows: split, limit }),
          ...eventsOf('LargePageRestored', command, { rows: kept, limit }),
        ]);
      }
      default:
        return command satisfies never;
    }
  };

/** The regions after an event. */
export function evolveLargePages(state: LargePages, event: LargePagesEvent): LargePages {
  const next = new Map(state);
  switch (event.type) {
    case 'LargePageSampled': {
      const { capture: since, source, regions } = event.data;
      for (const [first, last] of regions)
        for (let region = first; region <= last; region += 1)
          next.set(region, { _tag: 'sampled', since, source });
      return next;
    }
    case 'LargePageSplit':
    case 'LargePageRestored': {
      const _tag = event.type === 'LargePageSplit' ? 'split' : 'restored';
      const { capture, regions } = event.data;
      for (const row of regions) next.set(row.region, { _tag, capture, row });
      return next;
    }
    default:
      return event satisfies never;
  }
}

/** What is said of a region. */
export const decisionOf = (state: LargePages, region: number): 'large' | RegionState['_tag'] =>
  state.get(region)?._tag ?? 'large';
