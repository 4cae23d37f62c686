// Where a VM's guest would go, joined: the hosts of the workgroup, what each said that it holds, and what
// the VM's point has in common with that.

import { optionsOf, propertiesOf } from '../../guests/qemu/qemu-options.ts';
import type { RankedHost } from '../../../domain/events/host-codecs.ts';
import {
  chosenOf,
  rank,
  type Candidate,
  type Needs,
  type RankedBy,
} from '../../../domain/placement.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import {
  commonOf,
  NO_TAG,
  runsOf,
  type RegionRule,
  type Runs,
} from '../../../domain/values/regions.ts';
import { estimateOf } from '../../../domain/values/tag-filter.ts';
import { memoryMapOf } from '../../../projections/models/page-tables.ts';
import type { Catalogue } from '../../../projections/models/catalogue.ts';
import type { HostRow } from '../../../projections/models/host-rows.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { tableOf, type VmPoint } from '../ledger/vm-point.ts';
import { tracedSets } from '../points/requests.ts';
import { PageTags } from './contents.ts';
import { heldBy } from './held.ts';
import { decideOnMigration } from './migrations.ts';

/** Captures before a point of which changed pages count as used. */
const USED_CAPTURES = 4;
/** Hosts whose regions are looked at; the others' filters say that they have less. */
export const LOOKED_AT = 8;

/** Where the bytes of a move come from. */
export interface MoveBytes {
  /** What the target has. */
  readonly target: number;
  /** What lies in the page store that both have. */
  readonly bucket: number;
  /** What the source alone has. */
  readonly source: number;
}

/** A host that a guest may go to. */
export interface PlacedHost extends RankedHost {
  readonly from: MoveBytes;
}

export interface Placement {
  readonly hosts: readonly PlacedHost[];
  /** Null: no host has what the guest needs. */
  readonly chosen: string | null;
}

export interface PlacementRequest {
  readonly by: RankedBy;
  /** The host that the guest is on: it is no candidate. */
  readonly from: string;
}

/** Of a command line: how many CPUs the guest has. */
function cpusOf(argv: readonly string[]): number {
  const smp = optionsOf(argv).findLast(({ name }) => name === 'smp')?.value ?? '1';
  const properties = propertiesOf(smp);
  const cpus = Number(properties.get('cpus') ?? smp.split(',')[0]);
  return Number.isSafeInteger(cpus) && cpus >= 1 ? cpus : 1;
}

/** Whether the guest sees the CPU of its host. */
const seesHostCpu = (argv: readonly string[]): boolean =>
  optionsOf(argv).some(({ name, value }) => name === 'cpu' && /^(?:host|max)\b/u.test(value));

/** The least that a host has to have for a point's guest, as its command line and memory say. */
export function needsOf(point: VmPoint, source: HostRow | undefined): Needs {
  const argv = point.entry.argvAt(point.row.capture) ?? [];
  const facts = source?.state.facts ?? null;
  const pages = memoryMapOf(point).blocks.reduce((sum, block) => sum + block.pages, 0);
  return {
    cores: cpusOf(argv),
    memoryBytes: pages * PAGE_BYTES,
    features: seesHostCpu(argv) ? (facts?.features ?? []) : [],
    qemu: facts?.qemu ?? null,
  };
}

/** Where [gfn] is 1, the VM uses the page: it changed of late, or a guest asked for it when it began. */
async function usedPages(ledger: Ledger, point: VmPoint): Promise<Uint8Array> {
  const table = await tableOf(ledger, point, { isWhole: false });
  const used = new Uint8Array(table.length);
  const { entry, row } = point;
  const before = entry.captures.filter(({ capture }) => capture < row.capture);
  for (const earlier of before.slice(-USED_CAPTURES)) {
    const then = await tableOf(ledger, { entry, row: earlier }, { isWhole: false });
    for (let gfn = 0; gfn < table.length; gfn += 1) if (then[gfn] !== table[gfn]) used[gfn] = 1;
  }
  for (const set of tracedSets(ledger, point, table.length)) for (const gfn of set) used[gfn] = 1;
  return used;
}

/** What is known of a VM's point, and of which rule its runs are. */
class PlacedPoint {
  readonly tags: Float64Array;
  readonly used: Uint8Array;
  readonly contentPages: number;
  readonly #runs = new Map<string, Runs>();

  constructor(tags: Float64Array, used: Uint8Array) {
    this.tags = tags;
    this.used = used;
    this.contentPages = tags.reduce((sum, tag) => sum + (tag === NO_TAG ? 0 : 1), 0);
  }

  runs(rule: RegionRule): Runs {
    const key = `${rule.mean} ${rule.leastPages}`;
    const known = this.#runs.get(key) ?? runsOf(this.tags, rule);
    this.#runs.set(key, known);
    return known;
  }
}

/** How far a host is from another: what either of them says. */
function distanceOf({ hosts }: Catalogue, from: string, to: string): number | null {
  const said = (of: string, host: string): number | undefined =>
    hosts.get(of)?.state.facts?.distances.find((each) => each.host === host)?.distance;
  return said(from, to) ?? said(to, from) ?? null;
}

/** The hosts that are looked at, with what they hold: of more than a few, those whose filters promise most. */
async function lookedAt(ledger: Ledger, rows: readonly HostRow[], { tags }: PlacedPoint) {
  const promised = [];
  for (const row of rows) {
    const held = await heldBy(ledger, row);
    const estimates = held.filters.map((filter) => estimateOf(filter, tags));
    promised.push({ row, held, estimate: Math.max(0, ...estimates) });
  }
  return promised.toSorted((a, b) => b.estimate - a.estimate).slice(0, LOOKED_AT);
}

/** Ranks the hosts of the workgroup for a point, and says so in the log. */
export async function placeGuest(
  ledger: Ledger,
  point: VmPoint,
  { by, from }: PlacementRequest,
): Promise<Placement> {
  const { hosts } = ledger.state.catalogue;
  const source = hosts.get(from);
  const rows = [...hosts.values()].filter(
    ({ host, state }) => host !== from && state.facts !== null,
  );
  const tags = await PageTags.of(ledger);
  const placed = new PlacedPoint(await tags.at(point), await usedPages(ledger, point));
  const candidates: Candidate[] = [];
  for (const { row, held } of await lookedAt(ledger, rows, placed)) {
    const { rule, holds } = held;
    const common = commonOf(placed.runs(rule), { holds, used: placed.used });
    const moveBytes = (placed.contentPages - common.pages) * PAGE_BYTES;
    const distance = distanceOf(ledger.state.catalogue, from, row.host);
    candidates.push({ facts: row.state.facts!, ...common, moveBytes, distance });
  }
  const ranked = rank(candidates, { needs: needsOf(point, source), by });
  const chosen = chosenOf(ranked);
  await noteRanked(ledger, point, { by, ranked, chosen });
  return { hosts: ranked.map((host) => ({ ...host, from: bytesFrom(ledger, host) })), chosen };
}

/** A page store that other hosts have as well gives what the target has not. */
function bytesFrom({ isShared }: Ledger, { pages, moveBytes }: RankedHost): MoveBytes {
  const target = pages * PAGE_BYTES;
  return isShared
    ? { target, bucket: moveBytes, source: 0 }
    : { target, bucket: 0, source: moveBytes };
}

async function noteRanked(
  ledger: Ledger,
  { entry: { vm }, row: { capture } }: VmPoint,
  of: {
    readonly by: RankedBy;
    readonly ranked: readonly RankedHost[];
    readonly chosen: string | null;
  },
): Promise<void> {
  const { by: counted, ranked: candidates, chosen } = of;
  const data = { vm, capture, counted, candidates, chosen };
  await decideOnMigration(ledger, vm, { _tag: 'RankCandidates', ...data });
}
