// Large pages of low activity, on a memory of which the test knows what is cold: which regions are found
// cold, what splitting them gives back, counted by hand, and what other policies would have given.

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  copyLedger,
  decideLarge,
  forgetHistory,
  forgetPoints,
  largePagesOf,
  replayLargeOf,
  verify,
  type DecideRequest,
  type Ledger,
  type RankedRegion,
} from '../../../index.ts';
import { RegionSampling } from '../../../adapters/wiring/restore/region-sampling.ts';
import type { RegionRow } from '../../../domain/events/control.ts';
import { PAGE_BYTES, REGION_PAGES } from '../../../domain/values/page.ts';
import { jsonRows, LedgerCommands } from '../../support/command-line.ts';
import { eventsOf } from '../../support/logs/log-events.ts';
import { recordFiles, withLedger, writeImages } from '../../support/ledgers/recorded-images.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

/** Regions of the guest, by what becomes of them. */
const ZEROS = 0;
const HOT = 1;
const TWIN = 2;
const OTHER_TWIN = 3;
const LONELY = 4;
const WARM = 5;
const REGIONS = 6;
const REST_PAGES = 3;
const CAPTURES = 5;
/** Pages that a capture writes of the warm region, and of the hot one. */
const WARM_PAGES = 9;
const HOT_PAGES = 300;

/** A page that no other seed has, of no pattern. */
function page(seed: number): Buffer {
  const bytes = Buffer.alloc(PAGE_BYTES);
  let state = seed + 1;
  for (let at = 0; at < PAGE_BYTES; at += 4) {
    state = Math.imul(state, 1_664_525) + 1_013_904_223;
    bytes.writeInt32LE(state ^ (at * seed), at);
  }
  return bytes;
}

function* memories(): Generator<Buffer> {
  const memory = Buffer.alloc((REGIONS * REGION_PAGES + REST_PAGES) * PAGE_BYTES);
  const write = (region: number, at: number, seed: number): void => {
    page(seed).copy(memory, (region * REGION_PAGES + at) * PAGE_BYTES);
  };
  for (let at = 0; at < REGION_PAGES; at += 1) {
    for (const region of [HOT, LONELY, WARM]) write(region, at, region * REGION_PAGES + at);
    // Twins, but for the last page; and the first page of the rest is the first of both.
    write(TWIN, at, 10_000 + at);
    write(OTHER_TWIN, at, at === REGION_PAGES - 1 ? 20_000 : 10_000 + at);
  }
  write(REGIONS, 0, 10_000);
  write(REGIONS, 1, 20_001);
  yield Buffer.from(memory);
  for (let capture = 2; capture <= CAPTURES; capture += 1) {
    for (let at = 0; at < HOT_PAGES; at += 1) write(HOT, at, 100_000 * capture + at);
    for (let at = 0; at < WARM_PAGES; at += 1)
      write(WARM, 40 * at, 100_000 * capture + 50_000 + at);
    yield Buffer.from(memory);
  }
}

const DECIDE: DecideRequest = {
  policy: { measure: 'distinct', choice: { _tag: 'below', threshold: 5 } },
  sample: 100,
  budgetBytes: null,
  estimateSamples: 0,
};
const point = (ledger: Ledger, at: string) => {
  const entry = ledger.vm('web');
  return { entry, row: ledger.resolve(entry, at) };
};
const ranked = async (
  ledger: Ledger,
  at = 'latest',
  since: number | null = null,
): Promise<readonly RankedRegion[]> =>
  (await largePagesOf(ledger, point(ledger, at), { since, measure: 'distinct' })).regions;
const decisions = (rows: readonly RankedRegion[]) =>
  Object.fromEntries(rows.map(({ region, decision }) => [region, decision]));

/** What the twins give: all of the second but its last page, and one that the rest holds. */
const TWIN_PAGES = REGION_PAGES - 1 + 1;
const FREED_PAGES = REGION_PAGES + TWIN_PAGES;

let folder: TemporaryFolder;
let url: string;
let files: readonly string[];
beforeAll(async () => {
  folder = await makeTemporaryFolder();
  url = join(folder.path, 'ledger');
  files = writeImages({ folder: folder.path, name: 'image', images: memories() });
  await withLedger({ url, mode: 'create' }, async (ledger) => {
    await recordFiles(ledger, { vm: 'web', files: files.slice(0, 3) });
    await decideLarge(ledger, ledger.vm('web'), DECIDE);
    await recordFiles(ledger, { vm: 'web', files: files.slice(3) });
  });
});
afterAll(() => folder.remove());

describe('the large pages of a VM', () => {
  test('are ranked by what captures wrote, then by what they have to give', () =>
    withLedger({ url, mode: 'read' }, async (ledger) => {
      const rows = await ranked(ledger);
      const order = [ZEROS, TWIN, OTHER_TWIN, LONELY, WARM, HOT];
      expect(rows.map(({ region }) => region)).toEqual(order);
      expect(rows.map(({ activity }) => activity)).toEqual([0, 0, 0, 0, WARM_PAGES, HOT_PAGES]);
      expect(rows.map(({ pattern }) => pattern)).toEqual([REGION_PAGES, 0, 0, 0, 0, 0]);
      const twin = REGION_PAGES - 1;
      expect(rows.map(({ shareable }) => shareable)).toEqual([0, twin, twin, 0, 0, 0]);
      expect(new Set(rows.map(({ decision, decided }) => `${decision} ${decided}`))).toEqual(
        new Set(['sampled 3']),
      );
      const [before] = await ranked(ledger, '@2');
      expect(before).toMatchObject({ decision: 'large', decided: null, activity: 0 });
      // Of one capture nobody knows what was written before it.
      expect((await ranked(ledger, '@1')).map(({ activity }) => activity)).toEqual(
        Array.from({ length: REGIONS }, () => null),
      );
    }));

  test('are counted by accesses where that is asked for', () =>
    withLedger({ url, mode: 'read' }, async (ledger) => {
      const of = { since: 1, measure: 'total' } as const;
      const { regions, restPages, since } = await largePagesOf(ledger, point(ledger, '@5'), of);
      expect([restPages, since]).toEqual([REST_PAGES, 1]);
      const total = new Map(regions.map(({ region, activity }) => [region, activity]));
      expect([total.get(WARM), total.get(HOT)]).toEqual([4 * WARM_PAGES, 4 * HOT_PAGES]);
    }));

  test('are split where they are cold; what that gives back is what is counted by hand', () =>
    withLedger({ url, mode: 'write' }, async (ledger) => {
      const decided = await decideLarge(ledger, ledger.vm('web'), {
        ...DECIDE,
        sample: 1,
        estimateSamples: 2000,
      });
      expect([decided.since, decided.capture]).toEqual([3, 5]);
      expect(decisions(await ranked(ledger))).toEqual({
        [ZEROS]: 'split',
        [TWIN]: 'split',
        [OTHER_TWIN]: 'split',
        [LONELY]: expect.stringMatching(/restored|sampled/u),
        [WARM]: expect.stringMatching(/restored|sampled/u),
        [HOT]: expect.stringMatching(/restored|sampled/u),
      });
      const events = decided.events.filter(({ type }) => type === 'LargePageSplit');
      const rows = events.flatMap(({ data }) => data.regions as readonly { bytes: number }[]);
      const bytes = FREED_PAGES * PAGE_BYTES;
      expect(rows.reduce((sum, row) => sum + row.bytes, 0)).toBe(bytes);
      expect(decided.heldBefore - decided.heldAfter).toBe(bytes);
      const { estimate } = decided;
      expect(estimate!.leastBytes).toBeLessThanOrEqual(bytes);
      expect(estimate!.mostBytes).toBeGreaterThan(bytes * 0.9);
      expect((await verify(ledger, () => undefined)).findings).toEqual([]);
    }));

  test('are known from the log alone, and in a copy', () =>
    withLedger({ url, mode: 'read' }, async (ledger) => {
      const rows = await ranked(ledger);
      rmSync(join(url, 'projections'), { recursive: true });
      await withLedger({ url, mode: 'read' }, async (anew) => {
        expect(await ranked(anew)).toEqual(rows);
      });
      await withLedger({ url: 'memory:', mode: 'create' }, async (copy) => {
        await copyLedger({ from: ledger, to: copy });
        expect(await ranked(copy)).toEqual(rows);
      });
    }));

  test('would have been decided otherwise under other policies, which is told side by side', () =>
    withLedger({ url, mode: 'read' }, async (ledger) => {
      const below = (threshold: number) => ({
        name: `${threshold}`,
        policy: { measure: 'distinct', choice: { _tag: 'below', threshold } } as const,
      });
      const policies = [below(0), below(5), below(WARM_PAGES + 1)];
      const of = { entry: ledger.vm('web'), policies, every: 1 };
      const outcomes = await replayLargeOf(ledger, { ...of, budgetBytes: null });
      expect(outcomes.map(({ name, splitRegions }) => [name, splitRegions])).toEqual([
        ['as decided', 3],
        ['0', 0],
        ['5', 3],
        ['10', 3],
      ]);
      const bytes = FREED_PAGES * PAGE_BYTES;
      expect(outcomes.map(({ reclaimedBytes }) => reclaimedBytes)).toEqual([
        bytes,
        0,
        bytes,
        bytes,
      ]);
      expect(outcomes.every(({ writesToSmall }) => writesToSmall === 0)).toBe(true);
      // In a memory that all of it does not fit, whatever shares is split.
      const [, scarce] = await replayLargeOf(ledger, { ...of, budgetBytes: PAGE_BYTES });
      expect(scarce).toMatchObject({ memory: 'low', splitRegions: 3, reclaimedBytes: bytes });
    }));
});

test('are split by what a guest did not ask for that ran from a point, read or written', () =>
  withLedger({ url: 'memory:', mode: 'create' }, async (ledger) => {
    await recordFiles(ledger, { vm: 'web', files: files.slice(0, 1) });
    // Looked at by writes already: requests tell more.
    await decideLarge(ledger, ledger.vm('web'), DECIDE);
    const interval = (): Promise<void> => Promise.resolve();
    const of = { regions: 5, threshold: 5, interval };
    const sampling = (await RegionSampling.begin(ledger, point(ledger, '@1'), of))!;
    const first = WARM * REGION_PAGES;
    const withheld = sampling.withheld.reduce((sum, each) => sum + each, 0);
    expect(withheld).toBe(5 * REGION_PAGES);
    for (const at of [1, 2, 2, 2, 2]) sampling.note({ firstPage: first + at, count: 1 });
    sampling.note({ firstPage: HOT * REGION_PAGES + 7, count: HOT_PAGES });
    const events = await sampling.judge();
    const rows = new Map(
      events.flatMap(({ type, data }) =>
        (data.regions as readonly RegionRow[]).map((row) => [row.region, [type, row.activity]]),
      ),
    );
    const [left] = Array.from({ length: REGIONS }, (_, region) => region).filter(
      (region) => !rows.has(region),
    );
    expect(rows.size).toBe(5);
    const expected = new Map<number, unknown>([
      [ZEROS, ['LargePageSplit', 0]],
      [HOT, ['LargePageRestored', HOT_PAGES]],
      [TWIN, ['LargePageSplit', 0]],
      [OTHER_TWIN, ['LargePageSplit', 0]],
      // It gives nothing.
      [LONELY, ['LargePageRestored', 0]],
      [WARM, ['LargePageRestored', 2]],
    ]);
    expected.delete(left!);
    expect(rows).toEqual(expected);
    const now = await ranked(ledger);
    expect(decisions(now)[left!]).toBe('sampled');
    // What was asked for is shown, and decided by again.
    const shown = now.find(({ region }) => region === WARM);
    expect([null, 2]).toContain(shown!.activity);
    const choices = [5, 1, 0].map((threshold) => ({
      name: `${threshold}`,
      policy: { measure: 'distinct', choice: { _tag: 'below', threshold } } as const,
    }));
    const entry = ledger.vm('web');
    const outcomes = await replayLargeOf(ledger, {
      entry,
      policies: choices,
      every: 1,
      budgetBytes: null,
    });
    const [decided, ...others] = outcomes.map(({ splitRegions, reclaimedBytes }) => [
      splitRegions,
      reclaimedBytes,
    ]);
    expect(others).toEqual([decided, decided, [0, 0]]);
    expect(decided![0]).toBeGreaterThan(0);
  }));

test('commands show, decide and replay, and say what does not go together', async () => {
  const commands = new LedgerCommands(join(folder.path, 'told'));
  await commands.json('record', 'image', '--format', 'raw', '--vm', 'web', ...files.slice(0, 2));
  const rows = await commands.json('large-pages', '--vm', 'web', '--threshold', '10');
  const { stdout: last } = await commands.run([
    '--json',
    'large-pages',
    '--vm',
    'web',
    '--last',
    '1',
  ]);
  expect(jsonRows(last)).toEqual([
    expect.objectContaining({ region: rows.at(-1)!['region'] }),
    expect.objectContaining({ summary: 'large-pages', vm: 'web', regions: rows.length }),
  ]);
  expect(rows).toHaveLength(REGIONS);
  expect(rows[0]).toEqual({
    vm: 'web',
    region: ZEROS,
    activity: 0,
    shareable: 0,
    pattern: REGION_PAGES,
    reclaimableBytes: REGION_PAGES * PAGE_BYTES,
    decision: 'large',
    decided: null,
    reclaimedBytes: null,
    cold: true,
  });
  const held = await commands.json('large-pages', '--vm', 'web', '--process', `${process.pid}`);
  expect(held).toHaveLength(REGIONS + 1);
  expect(Number(held.at(-1)!['residentBytes'])).toBeGreaterThan(2 ** 20);
  const [summary] = await commands.json('large-pages', '--vm', 'web', '--decide', '--sample', '2');
  expect(summary).toMatchObject({ summary: 'large-pages', sampled: 2, split: 0, since: null });
  const [first] = await commands.json('log', '--type', 'LargePageSampled');
  expect(first).toMatchObject({ type: 'LargePageSampled', vm: 'web', capture: 2 });
  const told = await commands.json('large-pages', '--vm', 'web', '--replay', '4,coldest:1');
  expect(told.map((row) => row['name'])).toEqual(['as decided', 'below 4', 'coldest 1']);
  const [here] = await commands.json('large-pages', '--vm', 'web', '--decide', '--budget', 'host');
  expect(['high', 'soft', 'hard', 'low']).toContain(here!['memory']);
  // What was recorded is no Linux guest.
  expect(await commands.errorOf('large-pages', '--vm', 'web', '--source', 'bits')).toEqual([
    5,
    'GUEST_UNDESCRIBED',
  ]);
  for (const words of [
    ['--replay', 'hot'],
    ['--since', 'latest'],
    ['--source', 'bits', '--total'],
    ['--source', 'reads'],
    ['--replay', '4', '--budget', 'host'],
    ['--kernel', '1'],
  ])
    expect(await commands.errorOf('large-pages', '--vm', 'web', ...words)).toEqual([
      2,
      'BAD_USAGE',
    ]);
});

test('decisions before history begins count no more', () =>
  withLedger({ url, mode: 'write' }, async (ledger) => {
    await forgetPoints(ledger, { vm: 'web', before: '@5' });
    await forgetHistory(ledger, { vm: 'web', isDryRun: false });
    const types = (await eventsOf(ledger.log)).map(({ type }) => type);
    expect(types).toContain('HistoryForgotten');
    const rows = decisions(await ranked(ledger));
    rmSync(join(url, 'projections'), { recursive: true });
    await withLedger({ url, mode: 'read' }, async (anew) => {
      expect(decisions(await ranked(anew))).toEqual(rows);
    });
  }));
