// Which large pages of a VM are cold, and what holding them small would bring: a ranking at a point, from
// events alone. No page is read.

import { contentOf, isContent, isTold } from '../../domain/values/holding.ts';
import {
  byRank,
  decisionOf,
  type LargePages,
  type Measure,
  type RegionState,
  type SeenRegion,
} from '../../domain/large-pages.ts';
import { emptyHeld, regionsIn, type HeldSmall } from '../../domain/region-pages.ts';
import { NumberSet } from '../../domain/values/number-set.ts';
import { PAGE_BYTES, REGION_PAGES } from '../../domain/values/page.ts';
import type { CaptureRow } from '../models/vm-entry.ts';
import type { PageTable } from '../table.ts';
import type { ComparedState } from './equal-contents.ts';
import { vmsAt, type Moment, type VmAt } from './moment.ts';
import { accessesIn, type Interval } from './region-accesses.ts';

/** A large page in the ranking. */
export interface RankedRegion {
  readonly region: number;
  /** Null: it is not known. */
  readonly activity: number | null;
  /** Small pages of a content that another page of the memory holds as well; an only one keeps one. */
  readonly shareable: number;
  readonly pattern: number;
  /** What it would take less, held small, if all else were. */
  readonly reclaimableBytes: number;
  readonly decision: 'large' | RegionState['_tag'];
  /** The capture at which that was decided, or from which on it is looked at; null: it never was. */
  readonly decided: number | null;
  /** What splitting brought, where it is split. */
  readonly reclaimedBytes: number | null;
}

/** What a part of the shareable pages comes to, by so many pages looked at. */
export interface SharedEstimate {
  readonly samples: number;
  /** Bytes that splitting all would bring, and between which bounds they lie in 19 of 20 cases. */
  readonly bytes: number;
  readonly leastBytes: number;
  readonly mostBytes: number;
}

/** The pages of a VM's region in its table. */
const pagesOfRegion = (table: Uint32Array, region: number): Uint32Array =>
  table.subarray(region * REGION_PAGES, (region + 1) * REGION_PAGES);

/** What the pages of a VM hold, equal contents by one number. */
const tableOf = async ({ state, equal }: ComparedState, { entry, row }: VmAt): Promise<PageTable> =>
  equal.in(await state.tables.at(entry, state.contents, row));

/** How many pages of all VMs at a moment hold each content. */
async function holdersAt(compared: ComparedState, moment: Moment): Promise<Uint32Array> {
  const { state } = compared;
  const holders = new Uint32Array(state.contents.count);
  for (const { entry, row } of vmsAt(state.catalogue, moment)) {
    if (entry.mapAt(row.capture) === null) continue;
    for (const holding of await tableOf(compared, { entry, row }))
      if (isContent(holding)) holders[contentOf(holding)]! += 1;
  }
  return holders;
}

/** Whether a page's content is there another time, among pages that come before it or elsewhere. */
function countShared(
  pages: Uint32Array,
  holders: Uint32Array,
): { readonly pattern: number; readonly shareable: number } {
  const own = new Map<number, number>();
  let pattern = 0;
  let shareable = 0;
  for (const holding of pages) {
    if (isContent(holding)) own.set(holding, (own.get(holding) ?? 0) + 1);
    else if (isTold(holding)) pattern += 1;
  }
  for (const [holding, count] of own)
    shareable += holders[contentOf(holding)]! > count ? count : count - 1;
  return { pattern, shareable };
}

/** Contents that are held small at a moment, beside the regions of one VM: those of split regions, and of rests. */
export async function heldBeside(
  compared: ComparedState,
  moment: Moment,
  of: { readonly vm: string; readonly regionsOf: (vm: string) => LargePages | undefined },
): Promise<HeldSmall> {
  const { state } = compared;
  const held = emptyHeld();
  for (const { entry, row } of vmsAt(state.catalogue, moment)) {
    if (entry.mapAt(row.capture) === null) continue;
    const table = await tableOf(compared, { entry, row });
    held.add(table.subarray(regionsIn(table.length) * REGION_PAGES));
    if (entry.vm === of.vm) continue;
    for (const [region, now] of of.regionsOf(entry.vm) ?? [])
      if (now._tag === 'split') held.add(pagesOfRegion(table, region));
  }
  return held;
}

/** All regions of a VM at a point, by what somebody knows of each one's activity; null: nobody does. */
export async function seenAs(
  compared: ComparedState,
  at: VmAt,
  activityOf: (region: number) => number | null,
): Promise<ReadonlyMap<number, SeenRegion>> {
  const table = await tableOf(compared, at);
  const seen = new Map<number, SeenRegion>();
  for (let region = 0; region < regionsIn(table.length); region += 1)
    seen.set(region, { activity: activityOf(region), pages: pagesOfRegion(table, region) });
  return seen;
}

/** All regions of a VM with their activity in an interval. */
export async function seenIn(
  compared: ComparedState,
  interval: Interval,
  measure: Measure,
): Promise<ReadonlyMap<number, SeenRegion>> {
  const { entry, row } = interval;
  const accesses = await accessesIn(compared, interval);
  return seenAs(
    compared,
    { entry, row },
    (region) => accesses?.activityOf(region, measure) ?? null,
  );
}

/** The large pages of a VM at a point, the coldest first; of unknown activity last. */
export async function rankedRegions(
  compared: ComparedState,
  of: {
    readonly row: CaptureRow;
    readonly moment: Moment;
    readonly seen: ReadonlyMap<number, SeenRegion>;
    readonly regions: LargePages;
    /** Whether what was told at a decision here stands in where nothing was seen: it is of another source. */
    readonly isToldToo: boolean;
  },
): Promise<readonly RankedRegion[]> {
  const holders = await holdersAt(compared, of.moment);
  const ranked = [...of.seen].map(([region, { activity, pages }]) => {
    const { pattern, shareable } = countShared(pages, holders);
    const now = of.regions.get(region);
    const decided = now === undefined || now._tag === 'sampled' ? now?.since : now.capture;
    // What a guest asked for that ran from this capture is told in what was decided then.
    const isJudgedHere = now !== undefined && now._tag !== 'sampled' && decided === of.row.capture;
    const known = activity ?? (of.isToldToo && isJudgedHere ? now.row.activity : null);
    return {
      rank: { activity: known ?? Number.POSITIVE_INFINITY, worth: pattern + shareable, region },
      row: {
        region,
        activity: known,
        shareable,
        pattern,
        reclaimableBytes: (pattern + shareable) * PAGE_BYTES,
        decision: decisionOf(of.regions, region),
        decided: decided ?? null,
        reclaimedBytes: now?._tag === 'split' ? now.row.bytes : null,
      },
    };
  });
  return ranked.toSorted((a, b) => byRank(a.rank, b.rank)).map(({ row }) => row);
}

/** Half the width, in deviations, of what holds 19 of 20 cases. */
const DEVIATIONS = 1.96;

/**
 * What splitting all regions would bring, from so many pages of them taken at random: whether each is a
 * pattern, or of a content that is there another time. `random` gives numbers from 0 to below 1.
 */
export async function estimateShared(
  compared: ComparedState,
  of: Pick<Interval, 'entry' | 'row'> & {
    readonly moment: Moment;
    readonly samples: number;
    readonly random: () => number;
  },
): Promise<SharedEstimate> {
  const { entry, row, samples, random } = of;
  const table = await tableOf(compared, { entry, row });
  const holders = await holdersAt(compared, of.moment);
  const pages = regionsIn(table.length) * REGION_PAGES;
  const count = pages === 0 ? 0 : samples;
  let sum = 0;
  let squares = 0;
  for (let i = 0; i < count; i += 1) {
    const holding = table[Math.floor(random() * pages)]!;
    // Of n pages that hold a content n - 1 would go.
    const n = isContent(holding) ? holders[contentOf(holding)]! : 0;
    const goes = isContent(holding) ? (n - 1) / n : Number(isTold(holding));
    sum += goes;
    squares += goes * goes;
  }
  const mean = count === 0 ? 0 : sum / count;
  const variance = count === 0 ? 0 : Math.max(0, squares / count - mean * mean);
  const half = count === 0 ? 0 : DEVIATIONS * Math.sqrt(variance / count);
  const bytes = (part: number): number =>
    Math.round(Math.min(1, Math.max(0, part)) * pages) * PAGE_BYTES;
  return {
    samples: count,
    bytes: bytes(mean),
    leastBytes: bytes(mean - half),
    mostBytes: bytes(mean + half),
  };
}

/** Bytes of the memory of all VMs at a moment, and of what is held of it: large pages whole, small ones once. */
export async function memoryHeld(
  compared: ComparedState,
  moment: Moment,
  regionsOf: (vm: string) => LargePages | undefined,
): Promise<{ readonly bytes: number; readonly heldBytes: number }> {
  const { state } = compared;
  const small = new NumberSet();
  let pages = 0;
  let held = 0;
  for (const { entry, row } of vmsAt(state.catalogue, moment)) {
    if (entry.mapAt(row.capture) === null) continue;
    const table = await tableOf(compared, { entry, row });
    const regions = regionsOf(entry.vm);
    pages += table.length;
    for (let gfn = 0; gfn < table.length; gfn += 1) {
      const region = Math.floor(gfn / REGION_PAGES);
      const isWhole = region < regionsIn(table.length);
      if (isWhole && regions?.get(region)?._tag !== 'split') held += 1;
      else if (isContent(table[gfn]!) && small.add(contentOf(table[gfn]!))) held += 1;
    }
  }
  return { bytes: pages * PAGE_BYTES, heldBytes: held * PAGE_BYTES };
}
