// What a host holds, as this ledger knows it: what it said last, and the points that were moved to it since.

import {
  pagesAmong,
  regionIndex,
  runsOf,
  type HeldRegions,
  type RegionRule,
} from '../../../domain/values/regions.ts';
import type { TagFilter } from '../../../domain/values/tag-filter.ts';
import type { ArrivedPoint, HostRow } from '../../../projections/models/host-rows.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { VmPoint } from '../ledger/vm-point.ts';
import { advertisedBy, advertisementOf, DEFAULT_RULE, PageTags } from './contents.ts';

/** Regions that a host holds, all cut by one rule, and filters of their pages. */
export interface HeldByHost {
  readonly rule: RegionRule;
  readonly holds: readonly HeldRegions[];
  readonly filters: readonly TagFilter[];
}

/** A point that was moved, in this ledger; none: it was forgotten here, or its VM ended. */
function pointsOf(ledger: Ledger, { vm, capture }: ArrivedPoint): readonly VmPoint[] {
  const entry = ledger.state.catalogue.vms.get(vm);
  const row = entry?.retired === null ? entry.capture(capture) : undefined;
  return entry === undefined || row === undefined ? [] : [{ entry, row }];
}

/** What a host holds: nothing is asked of it, and what was moved to it is read out of this ledger. */
export async function heldBy(ledger: Ledger, row: HostRow): Promise<HeldByHost> {
  const told = await advertisedBy(ledger, row);
  const rule = told?.rule ?? DEFAULT_RULE;
  const points = row.arrived.flatMap((point) => pointsOf(ledger, point));
  const arrived = points.length === 0 ? null : await advertisementOf(ledger, points, { rule });
  const all = [told, arrived].filter((one) => one !== null);
  return {
    rule,
    holds: all.map(({ regions }) => ({ regions, index: regionIndex(regions) })),
    filters: all.map(({ filter }) => filter),
  };
}

/** The pages of a point that a host is thought to have. */
export async function promisedPages(
  ledger: Ledger,
  point: VmPoint,
  host: string,
): Promise<Iterable<number>> {
  const row = ledger.state.catalogue.hosts.get(host);
  if (row === undefined) return [];
  const { rule, holds } = await heldBy(ledger, row);
  if (holds.length === 0) return [];
  const tags = await PageTags.of(ledger);
  return pagesAmong(runsOf(await tags.at(point), rule), holds);
}
