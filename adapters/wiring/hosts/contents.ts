// What hosts hold, joined: the regions of the points that this host has at hand, told in its stream, and
// what others told in theirs.

import * as either from 'fp-ts/lib/Either.js';
import { Buffer } from 'node:buffer';
import {
  ADVERTISED_REGIONS_MAX,
  decodeAdvertisement,
  encodeAdvertisement,
  type Advertisement,
} from '../../../domain/events/advertisement.ts';
import { decodeControl } from '../../../domain/events/control.ts';
import {
  ADVERTISED_BYTES,
  ADVERTISED_PARTS_MAX,
  type HostFacts,
} from '../../../domain/events/host-codecs.ts';
import { hostStream } from '../../../domain/events/streams.ts';
import type { AdvertisedPart } from '../../../domain/hosts.ts';
import { contentOf, isContent } from '../../../domain/values/holding.ts';
import { toHex } from '../../../domain/values/identifier.ts';
import {
  longestRegions,
  NO_TAG,
  pagesIn,
  REGION_MEAN,
  regionsOf,
  runsOf,
  tagOf,
  type RegionRule,
  type Runs,
} from '../../../domain/values/regions.ts';
import { filterOf } from '../../../domain/values/tag-filter.ts';
import type { HostRow } from '../../../projections/models/host-rows.ts';
import type { CaptureRow, VmEntry } from '../../../projections/models/vm-entry.ts';
import { ensureIdentifiers } from '../../../projections/questions/row-lister.ts';
import { sha256 } from '../ledger/digest.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { tableOf, type VmPoint } from '../ledger/vm-point.ts';
import { linkInvalid } from './arrival.ts';
import { decideOnHost } from './hosts.ts';

/** How regions are cut where nothing else is said. */
export const DEFAULT_RULE: RegionRule = { mean: REGION_MEAN, leastPages: 1 };
/** Most points that are told of, beside the newest of more VMs than that: each is read once. */
const POINTS_MAX = 256;
/** Most checkpoints of a VM that are told of. */
const NAMED_MAX = 16;

/** The tags of pages, each read once. */
export class PageTags {
  readonly #ledger: Ledger;
  readonly #known = new Map<number, number>();

  private constructor(ledger: Ledger) {
    this.#ledger = ledger;
  }

  static async of(ledger: Ledger): Promise<PageTags> {
    await ensureIdentifiers(ledger.state, ledger.column);
    return new PageTags(ledger);
  }

  /** Of each page of a point; `isHeld`: of contents that this is true of. */
  async at(
    point: VmPoint,
    isHeld: ((content: number) => boolean) | null = null,
  ): Promise<Float64Array> {
    const table = await tableOf(this.#ledger, point, { isWhole: false });
    const tags = new Float64Array(table.length).fill(NO_TAG);
    for (let gfn = 0; gfn < table.length; gfn += 1)
      if (isContent(table[gfn]!) && (isHeld?.(contentOf(table[gfn]!)) ?? true))
        tags[gfn] = this.#tagOf(contentOf(table[gfn]!));
    return tags;
  }

  #tagOf(content: number): number {
    const known = this.#known.get(content);
    if (known !== undefined) return known;
    const identifier = this.#ledger.column.read(content);
    const tag = identifier === null ? NO_TAG : tagOf(identifier);
    this.#known.set(content, tag);
    return tag;
  }
}

/** The captures of a VM of which a host tells: the newest, those before it at growing distances, and named ones. */
function toldOfVm(entry: VmEntry): readonly VmPoint[] {
  if (entry.retired !== null) return [];
  const kept = entry.captures.filter(({ capture }) => !entry.isForgotten(capture));
  const rows = new Set<CaptureRow>();
  for (let back = 1; back <= kept.length; back *= 2) rows.add(kept[kept.length - back]!);
  for (const { capture } of entry.checkpoints.slice(-NAMED_MAX)) {
    const row = kept.find((one) => one.capture === capture);
    if (row !== undefined) rows.add(row);
  }
  return [...rows].map((row) => ({ entry, row }));
}

/**
 * Which points a host has at hand: of each of these VMs the newest capture, and earlier ones, of which
 * what is in the newest as well costs nothing more. The newest of all come first.
 */
export function pointsHeld(entries: readonly VmEntry[]): readonly VmPoint[] {
  const told = entries.map(toldOfVm);
  return [...told.flatMap((of) => of.slice(0, 1)), ...told.flatMap((of) => of.slice(1))].slice(
    0,
    POINTS_MAX,
  );
}

/** The same of VMs by name, or all, as the log has them now. */
export async function pointsHeldNow(
  ledger: Ledger,
  vms: readonly string[] | null,
): Promise<readonly VmPoint[]> {
  await ledger.state.catchUp({ heavy: true });
  return pointsHeld(vms === null ? ledger.vms() : vms.map((name) => ledger.vm(name)));
}

/** How regions are cut, and of which contents they are; absent: as by default, of all. */
export interface TellingRule {
  readonly rule?: RegionRule;
  readonly isHeld?: ((content: number) => boolean) | null;
}

/** What a host tells that holds these points. */
export async function advertisementOf(
  ledger: Ledger,
  points: readonly VmPoint[],
  { rule = DEFAULT_RULE, isHeld = null }: TellingRule = {},
): Promise<Advertisement> {
  const tags = await PageTags.of(ledger);
  const runs: Runs[] = [];
  const all = new Set<number>();
  for (const point of points) {
    const of = await tags.at(point, isHeld);
    for (const tag of of) all.add(tag);
    runs.push(runsOf(of, rule));
  }
  const whole = regionsOf(runs);
  const regions = longestRegions(whole, ADVERTISED_REGIONS_MAX);
  const leftOut = whole.count - regions.count;
  return { rule, filter: filterOf(all), regions, leftOut };
}

/** An advertisement as events, of the generation after the last. */
function partsOf(
  host: string,
  { bytes, generation, regions, pages }: ToldBytes & { readonly generation: number },
): readonly AdvertisedPart[] {
  const parts = Math.max(1, Math.ceil(bytes.length / ADVERTISED_BYTES));
  const digest = toHex(sha256(bytes));
  return Array.from({ length: parts }, (_, i) => {
    const cut = bytes.subarray(i * ADVERTISED_BYTES, (i + 1) * ADVERTISED_BYTES);
    const text = Buffer.from(cut).toString('base64');
    return { host, generation, part: i + 1, parts, regions, pages, digest, bytes: text };
  });
}

/** The bytes of an advertisement, and what it counts. */
interface ToldBytes {
  readonly bytes: Uint8Array;
  readonly regions: number;
  readonly pages: number;
}

/** Parts in one append: together below its most. */
const PARTS_AT_ONCE = 3;

/** Says in the log what a host holds; false where it said the same before. */
export async function advertise(
  ledger: Ledger,
  host: string,
  advertisement: Advertisement,
): Promise<boolean> {
  const { regions } = advertisement;
  const told = {
    bytes: encodeAdvertisement(advertisement),
    regions: regions.count,
    pages: pagesIn(regions),
  };
  await ledger.state.catchUp({ heavy: false });
  const generation = (ledger.state.catalogue.hosts.get(host)?.state.generation ?? 0) + 1;
  const parts = partsOf(host, { ...told, generation });
  let isNew = false;
  for (let at = 0; at < parts.length; at += PARTS_AT_ONCE) {
    const some = parts.slice(at, at + PARTS_AT_ONCE);
    const events = await decideOnHost(ledger, host, () => ({
      _tag: 'AdvertiseContents',
      host,
      parts: some,
    }));
    isNew ||= events.length > 0;
    if (events.length === 0) break;
  }
  return isNew;
}

/** Most bytes of an advertisement. */
export const TOLD_BYTES_MAX = ADVERTISED_PARTS_MAX * ADVERTISED_BYTES;

/** What a host says of itself and holds, for other ledgers. */
export interface Told {
  readonly facts: HostFacts;
  /** Of an advertisement; empty: it said nothing of what it holds. */
  readonly bytes: Uint8Array;
}

/** What a host has told in this ledger; null: it is not in the workgroup. */
export async function toldOf(ledger: Ledger, host: string): Promise<Told | null> {
  const row = ledger.state.catalogue.hosts.get(host);
  if (row === undefined || row.state.facts === null) return null;
  return { facts: row.state.facts, bytes: (await bytesTold(ledger, row)) ?? new Uint8Array(0) };
}

/** Takes into this ledger what another host told over the link. False: it is known. LINK_INVALID. */
export async function foldTold(ledger: Ledger, { facts, bytes }: Told): Promise<boolean> {
  const { host } = facts;
  const decoded = bytes.length === 0 ? null : decodeAdvertisement(bytes);
  if (decoded !== null && either.isLeft(decoded))
    throw linkInvalid(`host ${host} tells what it holds in ${decoded.left}`);
  const joined = await decideOnHost(ledger, host, () => ({ _tag: 'JoinHost', ...facts }));
  const isNew = decoded !== null && (await advertise(ledger, host, decoded.right));
  return isNew || joined.length > 0;
}

/** The bytes that a host told last, as its stream has them; null: it told nothing. LOG_DAMAGED. */
async function bytesTold({ log }: Ledger, row: HostRow): Promise<Uint8Array | null> {
  const { advertised } = row.state;
  if (row.advertisedAt === null || advertised === null) return null;
  const { first: from, last } = row.advertisedAt;
  const stream = hostStream(row.host);
  const texts: string[] = [];
  for await (const { items } of log.read({ from, until: last + 1n }))
    for (const item of items) {
      if (item._tag === 'damage' || item.event.stream !== stream) continue;
      const decoded = decodeControl(item.event);
      if (either.isLeft(decoded) || decoded.right.type !== 'ContentsAdvertised') continue;
      const { digest, bytes } = decoded.right.data;
      if (digest === advertised.digest) texts.push(bytes);
    }
  const bytes = Buffer.concat(texts.map((text) => Buffer.from(text, 'base64')));
  return toHex(sha256(bytes)) === advertised.digest ? bytes : null;
}

/**
 * What a host told last that it holds; null: nothing that can be read. Bytes that are not what their
 * events promise are told of and count for nothing.
 */
export async function advertisedBy(ledger: Ledger, row: HostRow): Promise<Advertisement | null> {
  const bytes = await bytesTold(ledger, row);
  if (bytes === null) return null;
  const decoded = decodeAdvertisement(bytes);
  if (either.isRight(decoded)) return decoded.right;
  ledger.tell(`host ${row.host} told what it holds in ${decoded.left}: it counts as nothing`);
  return null;
}
