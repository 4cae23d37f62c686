// Regions that are looked at while a guest runs from a point: their pages are withheld until the guest asks
// for them, one at a time, so that the first access to each is seen, read or written. All else is given
// ahead. When the interval is over they are judged by what was asked for.

import { largeStream } from '../../../domain/events/streams.ts';
import {
  decideLargePages,
  initialLargePages,
  type LargePages,
  type LargePagesEvent,
  type Policy,
} from '../../../domain/large-pages.ts';
import type { PageDemand } from '../../../domain/ports/arriving-guest.ts';
import { isInRanges, type CaptureRanges } from '../../../domain/values/capture-ranges.ts';
import { REGION_PAGES } from '../../../domain/values/page.ts';
import { regionsIn } from '../../../domain/region-pages.ts';
import { heldBeside } from '../../../projections/questions/large-pages.ts';
import { RegionAccesses } from '../../../projections/questions/region-accesses.ts';
import { comparedState } from '../questions/large-pages.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { tableOf, type VmPoint } from '../ledger/vm-point.ts';

/** Which regions are looked at, until when, and which of them are cold then. */
export interface SamplingRequest {
  /** How many regions: of those held large, the ones that were not looked at for longest. */
  readonly regions: number;
  /** Ends when the interval is over that begins when all else was given; `signal` cuts it short. */
  readonly interval: (signal: AbortSignal) => Promise<void>;
  /** Cold is of what fewer pages were asked for. */
  readonly threshold: number;
}

const regionsOfVm = (ledger: Ledger, vm: string): LargePages =>
  ledger.state.regions.get(vm) ?? initialLargePages;

export class RegionSampling {
  /** Where [page] is 1, its first access is waited for. */
  readonly withheld: Uint8Array;
  /** Numbers of regions. */
  readonly regions: CaptureRanges;
  readonly #ledger: Ledger;
  readonly #point: VmPoint;
  readonly #policy: Policy;
  readonly #accesses: RegionAccesses;

  private constructor(
    of: { readonly ledger: Ledger; readonly point: VmPoint; readonly threshold: number },
    regions: CaptureRanges,
  ) {
    this.#ledger = of.ledger;
    this.#point = of.point;
    this.#policy = { measure: 'distinct', choice: { _tag: 'below', threshold: of.threshold } };
    this.regions = regions;
    const { entry, row } = of.point;
    const pages = entry.pagesAt(row.capture);
    this.withheld = new Uint8Array(pages);
    for (const [first, last] of regions)
      this.withheld.fill(1, first * REGION_PAGES, (last + 1) * REGION_PAGES);
    this.#accesses = new RegionAccesses(pages);
  }

  /** Chooses regions, and says so in the log; null: there are none to look at. */
  static async begin(
    ledger: Ledger,
    point: VmPoint,
    { regions: count, threshold }: SamplingRequest,
  ): Promise<RegionSampling | null> {
    const { vm } = point.entry;
    const { capture } = point.row;
    const regions = regionsIn(point.entry.pagesAt(capture));
    const of = { _tag: 'SampleRegions', vm, capture, regions, count, source: 'requests' } as const;
    const sampled = await ledger.decide(largeStream(vm), () =>
      decideLargePages(regionsOfVm(ledger, vm))(of),
    );
    const chosen = sampled.flatMap((event) =>
      event.type === 'LargePageSampled' ? event.data.regions : [],
    );
    return chosen.length === 0 ? null : new RegionSampling({ ledger, point, threshold }, chosen);
  }

  /** The guest asked for pages. */
  note({ firstPage, count }: PageDemand): void {
    for (let page = firstPage; page < firstPage + count; page += 1)
      if (this.withheld[page] === 1) this.#accesses.note(page);
  }

  /** Judges the regions by what was asked for. */
  async judge(): Promise<readonly LargePagesEvent[]> {
    const { entry, row } = this.#point;
    const { vm } = entry;
    const compared = await comparedState(this.#ledger);
    const { state, equal } = compared;
    const table = equal.in(await tableOf(this.#ledger, this.#point, { isWhole: true }));
    const moment = { position: row.position };
    const held = await heldBeside(compared, moment, {
      vm,
      regionsOf: (of) => state.regions.get(of),
    });
    const seen = new Map(
      Array.from({ length: this.#accesses.regions }, (_, region) => [
        region,
        {
          activity: isInRanges(this.regions, region)
            ? this.#accesses.activityOf(region, 'distinct')
            : null,
          pages: table.subarray(region * REGION_PAGES, (region + 1) * REGION_PAGES),
        },
      ]),
    );
    const { capture } = row;
    const interval = { since: capture, capture, source: 'requests' } as const;
    const policy = this.#policy;
    return this.#ledger.decide(largeStream(vm), () =>
      decideLargePages(regionsOfVm(this.#ledger, vm))({
        _tag: 'JudgeRegions',
        vm,
        ...interval,
        policy,
        memory: 'high',
        seen,
        held,
      }),
    );
  }
}
