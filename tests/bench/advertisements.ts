// What hosts tell of what they hold, as its rules change: regions of a least length, advertisements that are
// older or younger, and filters of few tags and of many.

import { encodeAdvertisement } from '../../domain/events/advertisement.ts';
import { toHex } from '../../domain/values/identifier.ts';
import { PAGE_BYTES } from '../../domain/values/page.ts';
import {
  commonOf,
  NO_TAG,
  pagesAmong,
  regionIndex,
  REGION_MEAN,
  REGION_PAGES_MAX,
  runsOf,
  type HeldRegions,
} from '../../domain/values/regions.ts';
import {
  BITS_LOG_MAX,
  FALSE_RATE,
  filterOf,
  has,
  isSampled,
} from '../../domain/values/tag-filter.ts';
import { advertisementOf, PageTags } from '../../adapters/wiring/hosts/contents.ts';
import { changeSince, EarlierTold } from '../../adapters/wiring/hosts/told-changes.ts';
import { sha256 } from '../../adapters/wiring/ledger/digest.ts';
import type { VmPoint } from '../../adapters/wiring/ledger/vm-point.ts';
import type { Ledger } from '../../index.ts';
import { seededRandom } from '../support/images.ts';
import { MIB } from './bench.ts';
import { figureOf, rowOf, type Row } from './measure.ts';

/** Captures of a guest at work, oldest first, and a guest that is like it. */
export interface Series {
  readonly ledger: Ledger;
  readonly captures: readonly VmPoint[];
  readonly sibling: VmPoint;
}

const ruleOf = (leastPages: number) => ({ mean: REGION_MEAN, leastPages });
const meanOf = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);

/** The earlier checkpoint told by regions of a least length: what the newest point then has to send. */
async function leastLengthRows({ ledger, captures }: Series): Promise<readonly Row[]> {
  const tags = await PageTags.of(ledger);
  const own = await tags.at(captures.at(-1)!);
  const contents = own.reduce((sum, tag) => sum + Number(tag !== NO_TAG), 0);
  const used = new Uint8Array(own.length);
  const rows: Row[] = [];
  for (let leastPages = 1; leastPages <= REGION_PAGES_MAX; leastPages *= 2) {
    const rule = ruleOf(leastPages);
    const told = await advertisementOf(ledger, captures.slice(0, 1), { rule });
    const { regions } = told;
    const holds = [{ regions, index: regionIndex(regions) }];
    const common = commonOf(runsOf(own, rule), { holds, used });
    const bytes = encodeAdvertisement(told).length;
    rows.push(
      rowOf({
        what: `to be sent, by regions of at least ${leastPages === 1 ? '1 page' : `${leastPages} pages`}`,
        measured: figureOf([((contents - common.pages) * PAGE_BYTES) / MIB], 'MiB'),
        limit: { what: 'all contents', figure: figureOf([(contents * PAGE_BYTES) / MIB], 'MiB') },
        note: `${common.regions} regions and ${common.pages} pages in common; told in ${bytes} bytes`,
      }),
    );
  }
  return rows;
}

/** A host that keeps its guest's newest capture alone, and tells of it each so many captures. */
async function intervalRows({ ledger, captures, sibling }: Series): Promise<readonly Row[]> {
  const tags = await PageTags.of(ledger);
  const moved = await tags.at(sibling);
  const rule = ruleOf(1);
  const runs = runsOf(moved, rule);
  const held = await Promise.all(captures.map(async (point) => new Set(await tags.at(point))));
  const told = [];
  for (const point of captures) told.push(await advertisementOf(ledger, [point], { rule }));
  const holds = told.map(({ regions }): HeldRegions => ({ regions, index: regionIndex(regions) }));
  const bytes = told.map((one) => encodeAdvertisement(one));
  const whole = {
    what: 'all of it told',
    figure: figureOf(
      bytes.map(({ length }) => length),
      'bytes',
    ),
  };
  const rows: Row[] = [];
  for (let every = 1; every <= captures.length; every *= 2) {
    const stale: number[] = [];
    const promised: number[] = [];
    const sent: number[] = [];
    for (let now = 0; now < captures.length; now += 1) {
      const last = now - (now % every);
      const pages = [...pagesAmong(runs, [holds[last]!])];
      promised.push(pages.length);
      stale.push(pages.filter((gfn) => !held[now]!.has(moved[gfn]!)).length);
      if (now === 0 || last !== now) continue;
      const earlier = new EarlierTold();
      const before = bytes[now - every]!;
      earlier.keep(before);
      sent.push((changeSince(toHex(sha256(before)), bytes[now]!, earlier) ?? bytes[now]!).length);
    }
    const when = `told every ${every === 1 ? 'capture' : `${every} captures`}`;
    rows.push(
      rowOf({
        what: `pages that were told and are gone, ${when}`,
        measured: figureOf([meanOf(stale)], 'pages'),
        limit: { what: 'pages that were told', figure: figureOf([meanOf(promised)], 'pages') },
        note: 'mean over the captures, 3 s apart; of a sibling, by a host that keeps the newest capture alone',
      }),
    );
    if (sent.length > 0)
      rows.push(
        rowOf({
          what: `bytes on the link, ${when}`,
          measured: figureOf(sent, 'bytes'),
          limit: whole,
        }),
      );
  }
  return rows;
}

/** What is told of a series, by rules that differ. */
export const advertisementRows = async (series: Series): Promise<readonly Row[]> => [
  ...(await leastLengthRows(series)),
  ...(await intervalRows(series)),
];

const TAG_HIGH = 2 ** 16;
const WORD = 2 ** 32;

/** Filters of so many tags: how large they are, and how many other tags they take for their own. */
export function filterRows(isQuick: boolean): readonly Row[] {
  const counts = isQuick ? [1000, 100_000] : [1000, 10_000, 50_000, 250_000, 1_000_000];
  return counts.flatMap((count) => {
    const random = seededRandom(count);
    const draw = (): number => random(TAG_HIGH) * WORD + random(WORD);
    const filter = filterOf(Array.from({ length: count }, draw));
    let asked = 0;
    let wrong = 0;
    for (let i = 0; i < 1_000_000; i += 1) {
      const tag = draw();
      if (!isSampled(tag, filter.sampleLog)) continue;
      asked += 1;
      wrong += Number(has(filter, tag));
    }
    const note = `a sample of one in ${2 ** filter.sampleLog}`;
    return [
      rowOf({
        what: `a filter of ${count} tags`,
        measured: figureOf([filter.bits.length], 'bytes'),
        target: { sense: 'at most', bound: 2 ** BITS_LOG_MAX / 8 },
        note,
      }),
      rowOf({
        what: `other tags that a filter of ${count} takes for its own`,
        measured: figureOf([wrong / asked], 'of those asked'),
        target: { sense: 'at most', bound: FALSE_RATE },
      }),
    ];
  });
}
