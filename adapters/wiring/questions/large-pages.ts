// Large pages of low activity, joined: the ranking of a VM's regions at a point, and what is decided of
// them there. Decisions are made on the newest capture, one after the other: those that were looked at are
// judged, and the next ones are looked at.

import { availableMemory } from '../../guests/host-available.ts';
import { hostPagesOf, type HostPages } from '../../guests/host-pages.ts';
import { SPLIT_FILE, splitPages } from '../../guests/qemu/split-pages.ts';
export { SPLIT_FILE };
import { largeStream } from '../../../domain/events/streams.ts';
import {
  decideLargePages,
  evolveLargePages,
  initialLargePages,
  type AccessSource,
  type LargePages,
  type LargePagesEvent,
  type Measure,
  type Policy,
} from '../../../domain/large-pages.ts';
import {
  canReclaim,
  memoryState,
  planRemedies,
  type Budget,
  type MemoryState,
  type RemedyStep,
} from '../../../domain/memory-pressure.ts';
import { activityByBits, type AccessBits } from '../../../domain/guest/accessed-pages.ts';
import { regionsIn } from '../../../domain/region-pages.ts';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { mainPagesOf } from '../../../domain/values/memory-map.ts';
import { PAGE_BYTES, REGION_PAGES } from '../../../domain/values/page.ts';
import { checkMoment } from '../../../projections/models/beginning.ts';
import { largePagesEventIn } from '../../../projections/models/large-regions.ts';
import { memoryMapOf } from '../../../projections/models/page-tables.ts';
import type { VmEntry } from '../../../projections/models/vm-entry.ts';
import {
  EqualContents,
  type ComparedState,
} from '../../../projections/questions/equal-contents.ts';
import {
  estimateShared,
  heldBeside,
  memoryHeld,
  rankedRegions,
  seenAs,
  seenIn,
  type RankedRegion,
  type SharedEstimate,
} from '../../../projections/questions/large-pages.ts';
import {
  replayLarge,
  type LargeOutcome,
  type ReplayRequest,
} from '../../../projections/questions/large-replay.ts';
import type { Moment } from '../../../projections/questions/moment.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { VmPoint } from '../ledger/vm-point.ts';

/** Captures that an interval has where nothing was looked at since. */
const INTERVAL_CAPTURES = 10;

/** The ledger's state, and which contents are equal in it: known without the index where none is held large. */
export async function comparedState(ledger: Ledger): Promise<ComparedState> {
  const { state } = ledger;
  if (state.contents.held.hasLarge) await state.catchUp({ heavy: true });
  return { state, equal: new EqualContents(state) };
}

const regionsOfVm = (ledger: Ledger, vm: string): LargePages =>
  ledger.state.regions.get(vm) ?? initialLargePages;

/** What was decided of a VM's regions up to a capture. O(log), but for the newest one. */
export async function regionsAt(ledger: Ledger, { entry, row }: VmPoint): Promise<LargePages> {
  const { state } = ledger;
  if (row === entry.rows.last) return regionsOfVm(ledger, entry.vm);
  let regions = initialLargePages;
  await ledger.replay(state.start, (change) => {
    const event = largePagesEventIn(change);
    if (event?.data.vm === entry.vm && event.data.capture <= row.capture)
      regions = evolveLargePages(regions, event);
    return Promise.resolve();
  });
  return regions;
}

/** The capture from which on regions are looked at that are to be judged next; null: none are. */
function sampledSince(regions: LargePages, capture: number): number | null {
  let newest: number | null = null;
  for (const now of regions.values())
    if (now._tag === 'sampled' && now.since < capture) newest = Math.max(newest ?? 0, now.since);
  return newest;
}

/** After which capture accesses count that nobody named another for. */
const defaultSince = ({ entry, row }: VmPoint, regions: LargePages): number =>
  sampledSince(regions, row.capture) ??
  Math.max((entry.gone?.capture ?? 0) + 1, row.capture - INTERVAL_CAPTURES);

/** The large pages of a VM at a point. */
export interface LargePagesReport {
  /** Accesses after this capture count. */
  readonly since: number;
  readonly regions: readonly RankedRegion[];
  /** Pages behind the last whole region. */
  readonly restPages: number;
}

/** What else than captures is asked for accesses: what the guest's page tables say of each region, in order. */
export interface AskedBits {
  readonly bits?: readonly AccessBits[];
}

/** All regions of a VM at a point, by what the bits of its page tables say. */
const seenByBits = (
  compared: ComparedState,
  { entry, row }: VmPoint,
  bits: readonly AccessBits[],
): ReturnType<typeof seenAs> =>
  seenAs(compared, { entry, row }, (region) => {
    const of = bits[region];
    return of === undefined ? null : activityByBits(of, REGION_PAGES);
  });

/**
 * The large pages of a VM at a point, the coldest first: by what captures wrote since another one, or by
 * bits of page tables, which know no interval.
 */
export async function largePagesOf(
  ledger: Ledger,
  point: VmPoint,
  of: { readonly since: number | null; readonly measure: Measure } & AskedBits,
): Promise<LargePagesReport> {
  const { entry, row } = point;
  const moment: Moment = { position: row.position };
  checkMoment(ledger.state.catalogue, moment);
  const regions = await regionsAt(ledger, point);
  const since = of.since ?? defaultSince(point, regions);
  const compared = await comparedState(ledger);
  const seen =
    of.bits === undefined
      ? await seenIn(compared, { entry, row, since }, of.measure)
      : await seenByBits(compared, point, of.bits);
  const isToldToo = of.bits === undefined;
  const ranked = await rankedRegions(compared, { row, moment, seen, regions, isToldToo });
  const pages = entry.pagesAt(row.capture);
  return { since, regions: ranked, restPages: pages - regionsIn(pages) * REGION_PAGES };
}

/** How to decide on large pages. */
export interface DecideRequest extends AskedBits {
  readonly policy: Policy;
  /** Regions to look at next; by bits, which tell of what was before: now. */
  readonly sample: number;
  /** Bytes that the memory of all VMs may take, or what this host has; null: as many as it does. */
  readonly budgetBytes: number | 'host' | null;
  /** Pages of the estimate that is made before anything is split; 0: none is made. */
  readonly estimateSamples: number;
}

/** What was decided, and what it comes to. */
export interface LargePagesDecided {
  readonly capture: number;
  readonly since: number | null;
  readonly events: readonly LargePagesEvent[];
  readonly memory: MemoryState;
  readonly remedies: readonly RemedyStep[];
  /** Bytes of all memory, and those held of it before and after. */
  readonly bytes: number;
  readonly heldBefore: number;
  readonly heldAfter: number;
  /** What splitting all of the VM was thought to bring. */
  readonly estimate: SharedEstimate | null;
}

const bytesOf = (events: readonly LargePagesEvent[]): number =>
  events
    .flatMap((event) => (event.type === 'LargePageSplit' ? event.data.regions : []))
    .reduce((sum, { bytes }) => sum + bytes, 0);

/** Judges the regions of a VM that were looked at, as its newest capture is. */
async function judgeRegions(
  ledger: Ledger,
  point: VmPoint,
  request: { readonly policy: Policy; readonly memory: MemoryState } & AskedBits,
): Promise<{ readonly since: number | null; readonly events: readonly LargePagesEvent[] }> {
  const { policy, memory, bits } = request;
  const { entry, row } = point;
  const compared = await comparedState(ledger);
  const { state } = compared;
  const { vm } = entry;
  const { capture } = row;
  const since = bits === undefined ? sampledSince(regionsOfVm(ledger, vm), capture) : capture;
  if (since === null) return { since, events: [] };
  const moment: Moment = { position: row.position };
  const seen =
    bits === undefined
      ? await seenIn(compared, { entry, since, row }, policy.measure)
      : await seenByBits(compared, point, bits);
  const held = await heldBeside(compared, moment, { vm, regionsOf: (of) => state.regions.get(of) });
  const source: AccessSource = bits === undefined ? 'writes' : 'bits';
  const judge = { _tag: 'JudgeRegions', vm, since, capture, source } as const;
  const events = await ledger.decide(largeStream(vm), () =>
    decideLargePages(regionsOfVm(ledger, vm))({ ...judge, policy, memory, seen, held }),
  );
  return { since, events };
}

/** Looks at regions of a VM from its newest capture on. */
const sampleRegions = (
  ledger: Ledger,
  { entry, row }: VmPoint,
  { count, source }: { readonly count: number; readonly source: AccessSource },
): Promise<readonly LargePagesEvent[]> => {
  const { vm } = entry;
  const { capture } = row;
  const regions = regionsIn(entry.pagesAt(capture));
  const sample = { _tag: 'SampleRegions', vm, capture, regions, count, source } as const;
  return ledger.decide(largeStream(vm), () => decideLargePages(regionsOfVm(ledger, vm))(sample));
};

/** What there may be of memory, and how much of it is free. NOT_FOUND where this host does not say. */
function budgetOf(budgetBytes: number | 'host', heldBytes: number): Budget {
  if (budgetBytes !== 'host') return { bytes: budgetBytes, freeBytes: budgetBytes - heldBytes };
  const host = availableMemory();
  if (host !== null) return { bytes: host.bytes, freeBytes: host.availableBytes };
  throw new LedgerError(
    'NOT_FOUND',
    'this host does not say how much memory it has available, as it is not Linux: name a budget in MiB',
  );
}

/** Decides on the large pages of a VM at its newest capture, and looks at the next ones. */
export async function decideLarge(
  ledger: Ledger,
  entry: VmEntry,
  { policy, sample, budgetBytes, estimateSamples, bits }: DecideRequest,
): Promise<LargePagesDecided> {
  const compared = await comparedState(ledger);
  const { state } = compared;
  const row = ledger.resolve(entry, 'latest');
  const point = { entry, row };
  const moment: Moment = { position: row.position };
  const held = () => memoryHeld(compared, moment, (vm) => state.regions.get(vm));
  const { bytes, heldBytes: heldBefore } = await held();
  const budget = budgetBytes === null ? null : budgetOf(budgetBytes, heldBefore);
  const memory = budget === null ? 'high' : memoryState('high', budget);
  const estimate =
    estimateSamples === 0
      ? null
      : await estimateShared(compared, {
          ...point,
          moment,
          samples: estimateSamples,
          random: Math.random,
        });
  const look = (source: AccessSource) => sampleRegions(ledger, point, { count: sample, source });
  const looked = bits === undefined ? [] : await look('bits');
  const judge = { policy, memory, ...(bits === undefined ? {} : { bits }) };
  const { since, events } = await judgeRegions(ledger, point, judge);
  const sampled = bits === undefined ? await look('writes') : [];
  const { heldBytes: heldAfter } = await held();
  const split = bytesOf(events);
  const isScarce = memory !== 'high';
  return {
    capture: row.capture,
    since,
    events: [...looked, ...events, ...sampled],
    memory,
    remedies: planRemedies(memory, budget ?? { bytes, freeBytes: bytes }, {
      'split cold': isScarce ? 0 : split,
      'split sharing': isScarce ? split : 0,
      // The ledger has all of it as it is at its newest capture.
      'drop unmodified': heldAfter,
      'write out modified': 0,
    }),
    bytes,
    heldBefore,
    heldAfter,
    estimate,
  };
}

/** What was decided of a VM, and what other policies would have. */
export async function replayLargeOf(
  ledger: Ledger,
  request: ReplayRequest,
): Promise<readonly LargeOutcome[]> {
  const { replay } = ledger;
  return replayLarge({ ...(await comparedState(ledger)), replay }, request);
}

/** Regions of a QEMU that runs here which its host was told to split, by how scarce its memory is. */
export interface HostSplit {
  readonly memory: MemoryState;
  readonly regions: number;
}

/**
 * Tells this host to really split regions of a VM's QEMU: those that are looked at or held small, and, where
 * memory is scarce, all that have anything to share. NOT_FOUND where that cannot be done, which says why.
 */
export function splitProcess(
  { entry, row }: VmPoint,
  ranked: readonly RankedRegion[],
  { process, file }: { readonly process: number; readonly file: string },
): HostSplit {
  const memory = memoryState('high', budgetOf('host', 0));
  const isScarce = canReclaim(memory, 'split sharing');
  const regions = ranked
    .filter(
      ({ decision, reclaimableBytes }) =>
        decision === 'sampled' || decision === 'split' || (isScarce && reclaimableBytes > 0),
    )
    .map(({ region }) => region);
  const blockBytes = mainPagesOf(memoryMapOf({ entry, row })) * PAGE_BYTES;
  const outcome = splitPages({ process, blockBytes, regions, file });
  if (outcome._tag === 'told') return { memory, regions: outcome.regions };
  throw new LedgerError('NOT_FOUND', `nothing was split: ${outcome.why}`, { process });
}

/** How this host holds the memory of a QEMU that runs. NOT_FOUND where it does not say. */
export function hostPagesOfProcess(process: number): HostPages {
  const pages = hostPagesOf(process);
  if (pages !== null) return pages;
  throw new LedgerError(
    'NOT_FOUND',
    `this host does not say how it holds the memory of process ${process}: it has ended, or is somebody else's, or this is not Linux; give the process of a QEMU that runs here`,
    { process },
  );
}
