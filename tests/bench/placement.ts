// Where a guest goes among a thousand hosts with ten guests each: what a decision takes, how many bytes are
// exchanged for it, and what the host that is chosen has in common against the best there is. Guests are of
// families: a part of a family's memory is alike in all, in runs of various lengths, the rest is each one's.

import { encodeAdvertisement } from '../../domain/events/advertisement.ts';
import { assert } from '../../domain/values/assert.ts';
import {
  commonOf,
  regionIndex,
  regionsOf,
  REGION_MEAN,
  runsOf,
  type Common,
  type Regions,
} from '../../domain/values/regions.ts';
import { estimateOf, filterOf, type TagFilter } from '../../domain/values/tag-filter.ts';
import { LOOKED_AT } from '../../adapters/wiring/hosts/placement.ts';
import type { Bench, BenchContext } from './bench.ts';
import { figureOf, rowOf, type Row } from './measure.ts';

const SIZES = { hosts: 1000, guestsAHost: 10, families: 100, pages: 1024, asked: 60 };
const QUICK = { hosts: 60, guestsAHost: 10, families: 20, pages: 512, asked: 10 };
const RULE = { mean: REGION_MEAN, leastPages: 1 };
/** Runs of a guest that are its family's, out of ten. */
const OF_FAMILY = 6;
const RUN_PAGES_MAX = 48;
const WORD = 2 ** 32;

/** Numbers that look drawn, the same for the same seed. */
class Draws {
  #state: number;

  constructor(seed: number) {
    this.#state = (Math.imul(seed + 1, 0x9e37_79b1) ^ 0x5bd1_e995) >>> 0;
  }

  word(): number {
    this.#state = (this.#state + 0x6d2b_79f5) >>> 0;
    let x = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    x ^= x + Math.imul(x ^ (x >>> 7), 61 | x);
    return (x ^ (x >>> 14)) >>> 0;
  }

  below(bound: number): number {
    return this.word() % bound;
  }

  tag(): number {
    return this.below(2 ** 16) * WORD + this.word();
  }
}

/** A guest's page table, as tags. */
function guestOf(number: number, { families, pages }: typeof SIZES): Float64Array {
  const tags = new Float64Array(pages);
  const family = new Draws(number % families);
  const own = new Draws(1_000_000 + number);
  for (let gfn = 0; gfn < pages;) {
    const end = Math.min(pages, gfn + 1 + family.below(RUN_PAGES_MAX));
    const isOfFamily = own.below(10) < OF_FAMILY;
    for (; gfn < end; gfn += 1) {
      const [theirs, mine] = [family.tag(), own.tag()];
      tags[gfn] = isOfFamily ? theirs : mine;
    }
  }
  return tags;
}

interface SimulatedHost {
  readonly filter: TagFilter;
  readonly regions: Regions;
}

/** Guests are spread over the hosts as they come, a family a little more on some than on others. */
function hostsOf(sizes: typeof SIZES): readonly SimulatedHost[] {
  const draws = new Draws(7);
  const placed: number[][] = Array.from({ length: sizes.hosts }, () => []);
  for (let guest = 0; guest < sizes.hosts * sizes.guestsAHost; guest += 1) {
    let host = draws.below(sizes.hosts);
    while (placed[host]!.length >= sizes.guestsAHost) host = (host + 1) % sizes.hosts;
    placed[host]!.push(guest);
  }
  return placed.map((guests) => {
    const tables = guests.map((guest) => guestOf(guest, sizes));
    const regions = regionsOf(tables.map((tags) => runsOf(tags, RULE)));
    return { filter: filterOf(tables.flatMap((tags) => [...tags])), regions };
  });
}

const bytesOf = ({ filter, regions }: SimulatedHost): number =>
  encodeAdvertisement({ rule: RULE, filter, regions, leftOut: 0 }).length;

function run({ isQuick, tell }: BenchContext): Promise<readonly Row[]> {
  const sizes = isQuick ? QUICK : SIZES;
  const hosts = hostsOf(sizes);
  tell(`${hosts.length} hosts have ${hosts.length * sizes.guestsAHost} guests`);
  const whole = hosts.reduce((sum, host) => sum + bytesOf(host), 0);
  const filters = hosts.reduce((sum, { filter }) => sum + filter.bits.length, 0);
  const indexes = hosts.map(({ regions }) => regionIndex(regions));
  const seconds: number[] = [];
  const quality: number[] = [];
  const exchanged: number[] = [];
  for (let asked = 0; asked < sizes.asked; asked += 1) {
    // One that is nowhere yet: a new guest of some family.
    const tags = guestOf(hosts.length * sizes.guestsAHost + asked, sizes);
    const used = new Uint8Array(tags.length);
    const commonWith = ({ regions }: SimulatedHost): Common =>
      commonOf(runsOf(tags, RULE), { holds: [{ regions, index: regionIndex(regions) }], used });
    const start = process.cpuUsage();
    const looked = hosts
      .map((host) => ({ host, estimate: estimateOf(host.filter, tags) }))
      .toSorted((a, b) => b.estimate - a.estimate)
      .slice(0, LOOKED_AT);
    const chosen = Math.max(...looked.map(({ host }) => commonWith(host).pages));
    const { user, system } = process.cpuUsage(start);
    seconds.push((user + system) / 1e6);
    const runs = runsOf(tags, RULE);
    const bests = hosts.map(({ regions }, i) =>
      commonOf(runs, { holds: [{ regions, index: indexes[i]! }], used }),
    );
    const best = Math.max(...bests.map(({ pages }) => pages));
    assert(best > 0, 'a guest has something in common with some host');
    quality.push(chosen / best);
    exchanged.push(filters + looked.reduce((sum, { host }) => sum + bytesOf(host), 0));
  }
  const mean = quality.reduce((sum, one) => sum + one, 0) / quality.length;
  return Promise.resolve([
    rowOf({
      what: `a decision among ${hosts.length} hosts, of processor time`,
      measured: figureOf(seconds, 's'),
      note: `${LOOKED_AT} hosts' regions are looked at, of the others the filters`,
    }),
    rowOf({
      what: 'pages in common with the host that is chosen',
      measured: figureOf([mean], 'of the best'),
      target: { sense: 'at least', bound: 0.95 },
      note: 'mean over the guests that are placed; the best by the regions of all hosts',
    }),
    rowOf({
      what: 'bytes exchanged for a decision from nothing',
      measured: figureOf(exchanged, 'bytes'),
      limit: { what: 'the advertisements of all hosts', figure: figureOf([whole], 'bytes') },
      target: { sense: 'at most', bound: 1 },
    }),
  ]);
}

export const placement: Bench = {
  name: 'placement',
  title: 'Where a guest goes among a thousand hosts',
  run,
};
