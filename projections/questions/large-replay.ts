// Decisions on large pages made again over a VM's whole history, under other policies, by the same decider;
// beside them what was decided, counted in the same way. From events alone: no page is read. What other VMs
// hold is left out, on all sides alike. Cost: O(page events), and of each policy O(pages held small) at each
// decision.

import {
  decideLargePages,
  evolveLargePages,
  initialLargePages,
  type AccessSource,
  type LargePages,
  type LargePagesEvent,
  type Policy,
  type SeenRegion,
} from '../../domain/large-pages.ts';
import { memoryState, type MemoryState } from '../../domain/memory-pressure.ts';
import { countRegion, emptyHeld, regionsIn, type HeldSmall } from '../../domain/region-pages.ts';
import { UNKNOWN } from '../../domain/values/holding.ts';
import { PAGE_BYTES, REGION_PAGES } from '../../domain/values/page.ts';
import { largePagesEventIn } from '../models/large-regions.ts';
import type { LedgerState, Replay } from '../models/ledger-state.ts';
import type { VmEntry } from '../models/vm-entry.ts';
import { RegionAccesses } from './region-accesses.ts';
import type { ComparedState } from './equal-contents.ts';
import { walkTables } from './table-walk.ts';

/** How decisions are made again. */
export interface ReplayedPolicy {
  readonly name: string;
  readonly policy: Policy;
}

/** Which decisions are made again, and how. */
export interface ReplayRequest {
  readonly entry: VmEntry;
  readonly policies: readonly ReplayedPolicy[];
  /** Captures of an interval. */
  readonly every: number;
  /** Bytes that the VM's memory may take; null: as many as it does. */
  readonly budgetBytes: number | null;
}

/** What came of decisions, over the whole history. */
export interface LargeOutcome {
  readonly name: string;
  /** Regions that were split, each time; of these, those that were hot and became large again. */
  readonly splits: number;
  readonly wronglySplit: number;
  /** Pages written while they were held small: each is a look-up, and perhaps a copy. */
  readonly writesToSmall: number;
  /** Regions held small at the end, and bytes that the VM takes less for it, then and as a mean over captures. */
  readonly splitRegions: number;
  readonly reclaimedBytes: number;
  readonly meanReclaimedBytes: number;
  readonly memory: MemoryState;
}

/** Decisions of one kind, counted. */
class Replayed {
  readonly name: string;
  state: LargePages = initialLargePages;
  memory: MemoryState = 'high';
  #splits = 0;
  #wrong = 0;
  #writes = 0;
  #reclaimed = 0;
  #sum = 0;
  #captures = 0;

  constructor(name: string) {
    this.name = name;
  }

  /** A page was written. */
  write(gfn: number): void {
    if (this.state.get(Math.floor(gfn / REGION_PAGES))?._tag === 'split') this.#writes += 1;
  }

  take(events: readonly LargePagesEvent[]): void {
    for (const event of events) {
      if (event.type === 'LargePageSplit') this.#splits += event.data.regions.length;
      if (event.type === 'LargePageRestored')
        for (const { region } of event.data.regions)
          if (this.state.get(region)?._tag === 'split') this.#wrong += 1;
      this.state = evolveLargePages(this.state, event);
    }
  }

  /** A capture is whole: what splitting spares in it. */
  settle(table: Uint32Array, held: HeldSmall): void {
    this.#captures += 1;
    this.#reclaimed = 0;
    const own = emptyHeld();
    for (const [region, now] of this.state) {
      if (now._tag !== 'split') continue;
      const pages = pagesOfRegion(table, region);
      const { pattern, shareable } = countRegion(pages, [held, own]);
      this.#reclaimed += (pattern + shareable) * PAGE_BYTES;
      own.add(pages);
    }
    this.#sum += this.#reclaimed;
  }

  get reclaimedBytes(): number {
    return this.#reclaimed;
  }

  get outcome(): LargeOutcome {
    const split = [...this.state.values()].filter(({ _tag }) => _tag === 'split');
    return {
      name: this.name,
      splits: this.#splits,
      wronglySplit: this.#wrong,
      writesToSmall: this.#writes,
      splitRegions: split.length,
      reclaimedBytes: this.#reclaimed,
      meanReclaimedBytes: this.#captures === 0 ? 0 : Math.round(this.#sum / this.#captures),
      memory: this.memory,
    };
  }
}

const pagesOfRegion = (table: Uint32Array, region: number): Uint32Array =>
  table.subarray(region * REGION_PAGES, (region + 1) * REGION_PAGES);

/** What was decided of a VM, by the capture at which. */
async function decidedIn(
  { state, replay }: { readonly state: LedgerState; readonly replay: Replay },
  vm: string,
): Promise<ReadonlyMap<number, readonly LargePagesEvent[]>> {
  const decided = new Map<number, LargePagesEvent[]>();
  await replay(state.start, (change) => {
    const event = largePagesEventIn(change);
    if (event?.data.vm === vm) {
      const { capture } = event.data;
      decided.set(capture, [...(decided.get(capture) ?? []), event]);
    }
    return Promise.resolve();
  });
  return decided;
}

/** Judges what was looked at in the interval that ends, and looks at all that is large then. */
function decideAgain(
  replayed: Replayed,
  of: {
    readonly vm: string;
    readonly since: number;
    readonly capture: number;
    /** Regions that the VM has there. */
    readonly regions: number;
    readonly source: AccessSource;
    readonly policy: Policy;
    readonly seen: ReadonlyMap<number, SeenRegion>;
    readonly held: HeldSmall;
  },
): void {
  const { vm, capture, regions } = of;
  const { source } = of;
  const judge = { ...of, _tag: 'JudgeRegions', memory: replayed.memory } as const;
  const sample = {
    _tag: 'SampleRegions',
    vm,
    capture,
    source,
    regions,
    count: regions,
  } as const;
  for (const command of [judge, sample]) {
    const decided = decideLargePages(replayed.state)(command);
    if (decided._tag === 'Right') replayed.take(decided.right);
  }
}

/** The regions of a table with their accesses. */
const seenOf = (
  table: Uint32Array,
  accesses: RegionAccesses,
  { measure }: Policy,
): ReadonlyMap<number, SeenRegion> =>
  new Map(
    Array.from({ length: Math.min(regionsIn(table.length), accesses.regions) }, (_, region) => [
      region,
      { activity: accesses.activityOf(region, measure), pages: pagesOfRegion(table, region) },
    ]),
  );

/** The regions of a table with what else than writes told of them at this capture, as it was told then. */
function toldOf(
  table: Uint32Array,
  events: readonly LargePagesEvent[],
): ReadonlyMap<number, SeenRegion> | null {
  const told = events.flatMap((event) =>
    event.type === 'LargePageSampled' || event.data.source === 'writes' ? [] : event.data.regions,
  );
  if (told.length === 0) return null;
  const activity = new Map(told.map((row) => [row.region, row.activity]));
  return new Map(
    Array.from({ length: regionsIn(table.length) }, (_, region) => [
      region,
      { activity: activity.get(region) ?? null, pages: pagesOfRegion(table, region) },
    ]),
  );
}

/** What was decided of a VM, and what each policy would have, in this order. */
export async function replayLarge(
  ports: ComparedState & { readonly replay: Replay },
  { entry, policies, every, budgetBytes }: ReplayRequest,
): Promise<readonly LargeOutcome[]> {
  const { vm } = entry;
  const decided = await decidedIn(ports, vm);
  const traces = ports.state.traces.get(vm);
  const recorded = new Replayed('as decided');
  const others = policies.map(({ name, policy }) => ({ replayed: new Replayed(name), policy }));
  const all = [recorded, ...others.map(({ replayed }) => replayed)];
  const interval: { since: number | null; accesses: RegionAccesses } = {
    since: null,
    accesses: new RegionAccesses(0),
  };
  await walkTables(ports, {
    page: (of, gfn, old, next) => {
      if (of !== vm || old === UNKNOWN || ports.equal.areEqual(old, next)) return;
      interval.accesses.note(gfn);
      for (const each of all) each.write(gfn);
    },
    captured: (written, { capture }, memory) => {
      if (written.vm !== vm) return;
      const table = ports.equal.in(memory.table);
      const held = emptyHeld();
      held.add(table.subarray(regionsIn(table.length) * REGION_PAGES));
      const at = { vm, capture, regions: regionsIn(table.length), held };
      recorded.take(decided.get(capture) ?? []);
      const since = interval.since ?? capture;
      const isEnd = interval.since === null || capture - since >= every;
      if (isEnd) {
        for (const { replayed, policy } of others) {
          const seen = seenOf(table, interval.accesses, policy);
          const of = { ...at, since, source: 'writes', policy, seen } as const;
          decideAgain(replayed, of);
        }
        interval.since = capture;
        interval.accesses = new RegionAccesses(table.length);
      }
      const seen = toldOf(table, decided.get(capture) ?? []);
      if (seen !== null)
        for (const { replayed, policy } of others)
          decideAgain(replayed, { ...at, since: capture, source: 'requests', policy, seen });
      interval.accesses.noteTrace(traces?.get(capture));
      for (const each of all) {
        each.settle(table, held);
        const bytes = budgetBytes ?? Number.POSITIVE_INFINITY;
        const freeBytes = bytes - (table.length * PAGE_BYTES - each.reclaimedBytes);
        if (budgetBytes !== null) each.memory = memoryState(each.memory, { bytes, freeBytes });
      }
    },
  });
  return all.map(({ outcome }) => outcome);
}
