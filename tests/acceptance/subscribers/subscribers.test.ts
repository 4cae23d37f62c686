// The log as others read it: followed from another process while somebody
// records, bounded by positions and times, filtered by type, batches expanded to page events.

import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { NO_STREAM } from '../../../domain/ports/event-log.ts';
import { vmStream } from '../../../domain/events/streams.ts';
import { followEvents, listEvents, type EventRow } from '../../../index.ts';
import { LedgerCommands, type JsonRow } from '../../support/command-line.ts';
import { planCapture } from '../../support/hand-made-captures.ts';
import { imageSeries, makeImage } from '../../support/images.ts';
import { valueOf } from '../../support/outcomes.ts';
import {
  recordFiles,
  recordImage,
  withLedger,
  writeImages,
} from '../../support/ledgers/recorded-images.ts';
import {
  makeTemporaryFolder,
  withTemporaryFolder,
  type TemporaryFolder,
} from '../../support/disks/temporary-folder.ts';

const LONG_MS = 300_000;
const PAGE_EVENTS = ['PageStored', 'PageMerged', 'PatternPageShared', 'SharingBroken'];
const isPageEvent = (row: JsonRow): boolean => PAGE_EVENTS.includes(String(row['type']));
const commitsIn = (rows: readonly JsonRow[]): number =>
  rows.filter(({ type }) => type === 'CaptureCommitted').length;
const placeOf = (row: JsonRow): string => `${String(row['position'])}/${String(row['item'])}`;

describe('a subscriber in another process', () => {
  test.each([[[]], [['--pages']], [['--type', 'CaptureCommitted']]])(
    'sees every commit as it comes, in order and once, and ends on SIGINT (%j)',
    async (words) => {
      await withTemporaryFolder(async (folder) => {
        const commands = new LedgerCommands(join(folder, 'ledger'));
        const series = { pages: 300, captures: 3, changedPages: 40 };
        const files = ['red', 'green', 'blue'].map((name, seed) =>
          writeImages({ folder, name, images: imageSeries({ ...series, seed }) }),
        );
        await commands.json('record', 'image', '--vm', 'red', ...files[0]!);
        const follower = commands.start(['--json', 'log', '--follow', ...words]);
        await follower.until((command) => commitsIn(command.rows()) === 3);
        const recorders = ['green', 'blue'].map((vm, i) =>
          commands.run(['record', 'image', '--vm', vm, ...files[i + 1]!]),
        );
        for (const { exitCode } of await Promise.all(recorders)) expect(exitCode).toBe(0);
        await follower.until((command) => commitsIn(command.rows()) === 9);
        follower.signal('SIGINT');
        const outcome = await follower.ended;
        expect([outcome.exitCode, outcome.stderr]).toEqual([0, '']);
        expect(follower.rows()).toEqual(await commands.json('log', ...words));
        const positions = follower.rows().map(({ position }) => BigInt(String(position)));
        const isOrdered = positions.every(
          (position, i) => i === 0 || position >= positions[i - 1]!,
        );
        expect(isOrdered).toBe(true);
      });
    },
    LONG_MS,
  );

  test(
    'that starts from a position sees what comes after it, and a VM alone where asked',
    async () => {
      await withTemporaryFolder(async (folder) => {
        const commands = new LedgerCommands(join(folder, 'ledger'));
        const images = imageSeries({ seed: 1, pages: 100, captures: 4, changedPages: 9 });
        const files = writeImages({ folder, name: 'image', images });
        const rows = await commands.json('record', 'image', '--vm', 'vm', files[0]!, files[1]!);
        const from = String(rows[1]!['position']);
        const follower = commands.start([
          '--json',
          'log',
          '--follow',
          '--vm',
          'vm',
          '--from',
          from,
          '--pages',
        ]);
        await follower.until((command) => commitsIn(command.rows()) === 1);
        await commands.json('record', 'image', '--vm', 'other', files[0]!);
        await commands.json('record', 'image', '--vm', 'vm', files[2]!);
        await commands.json('retire', '--vm', 'vm');
        await follower.until((command) => command.rows().at(-1)?.['type'] === 'VmRetired');
        follower.signal('SIGTERM');
        expect((await follower.ended).exitCode).toBe(0);
        const seen = follower.rows();
        expect(new Set(seen.map(({ vm }) => vm))).toEqual(new Set(['vm']));
        expect(new Set(seen.map(({ capture }) => capture))).toEqual(new Set([2, 3, null]));
        expect(commitsIn(seen)).toBe(2);
        expect(seen.filter(isPageEvent)).toHaveLength(18 + brokenIn(seen));
      });
    },
    LONG_MS,
  );
});

test(
  'a capture begun before the place where a subscriber starts is seen whole at its commit',
  async () => {
    await withTemporaryFolder(async (folder) => {
      await withLedger({ url: join(folder, 'ledger'), mode: 'create' }, async (ledger) => {
        const image = makeImage({ seed: 4, pages: 20 });
        await recordImage(ledger, { vm: 'green', image, folder });
        const plan = await planCapture(ledger.state, {
          vm: 'red',
          pages: [1, 2, 3, 0],
          rowsMax: 2,
        });
        const stream = vmStream('red');
        await valueOf(
          ledger.log.append({ stream, expectedRevision: NO_STREAM, events: plan.batches }),
        );
        const { position } = await recordImage(ledger, { vm: 'green', image, folder });
        const from = { _tag: 'position', position } as const;
        const filter = { vm: null, type: null, isExpanded: true, from, to: null };
        const rows: EventRow[] = [];
        const abort = new AbortController();
        const consume = (row: EventRow): Promise<void> => {
          rows.push(row);
          if (row.vm === 'red' && row.type === 'CaptureCommitted') abort.abort();
          return Promise.resolve();
        };
        const reached = await listEvents(ledger, filter, consume);
        expect(rows.map(({ vm, type }) => [vm, type])).toEqual([['green', 'CaptureCommitted']]);
        const following = followEvents(
          ledger,
          filter,
          { from: reached, signal: abort.signal },
          consume,
        );
        const events = plan.commit(0);
        const expectedRevision = plan.batches.length - 1;
        await valueOf(ledger.log.append({ stream, expectedRevision, events }));
        await following;
        const pageEvents = rows.filter(({ type }) => PAGE_EVENTS.includes(type));
        expect(pageEvents.map(({ item, facts }) => [item, facts['gfn']])).toEqual([
          [0, 0],
          [2, 1],
          [4, 2],
          [6, 3],
        ]);
      });
    });
  },
  LONG_MS,
);

const brokenIn = (rows: readonly JsonRow[]): number =>
  rows.filter(({ type }) => type === 'SharingBroken').length;

describe('the log', () => {
  const FIRST_MS = Date.parse('2026-11-20T10:00:00Z');
  const HOUR_MS = 3_600_000;
  let folder: TemporaryFolder;
  let commands: LedgerCommands;
  let captures: JsonRow[];
  let all: JsonRow[];
  let pages: JsonRow[];

  beforeAll(async () => {
    folder = await makeTemporaryFolder();
    const url = join(folder.path, 'ledger');
    commands = new LedgerCommands(url);
    const mix = { zero: 30, text: 30, random: 0, repeated: 10, duplicate: 30 };
    const request = { seed: 2, pages: 200, captures: 4, changedPages: 60, mix };
    const where = { folder: folder.path, name: 'image', fromMs: FIRST_MS, stepMs: HOUR_MS };
    const files = writeImages({ ...where, images: imageSeries(request) });
    await withLedger({ url, mode: 'create' }, async (ledger) => {
      await recordFiles(ledger, { vm: 'vm', files });
      await recordFiles(ledger, { vm: 'other', files: files.slice(3) });
    });
    await commands.json('checkpoint', '--vm', 'vm', '--name', 'two', '--at', '@2');
    captures = await commands.json('captures', '--vm', 'vm');
    all = await commands.json('log');
    pages = await commands.json('log', '--pages');
  }, LONG_MS);
  afterAll(() => folder.remove());

  test(
    'has bounds that are included, by position and by time',
    async () => {
      const [, second, third] = captures.map(({ position }) => String(position));
      const within = (from: string, to: string) =>
        all.filter(
          ({ position }) =>
            BigInt(String(position)) >= BigInt(from) && BigInt(String(position)) <= BigInt(to),
        );
      for (const [from, to] of [
        [second!, third!],
        [second!, second!],
        [String(BigInt(second!) - 1n), String(BigInt(third!) - 1n)],
        [String(BigInt(second!) + 1n), third!],
      ] as const) {
        const expected = within(from, to);
        expect(await commands.json('log', '--from', from, '--to', `pos:${to}`)).toEqual(expected);
        expect(commitsIn(expected)).toBe(from === second && to === third ? 2 : 1);
      }
      const time = String(all.find(({ type }) => type === 'CheckpointTaken')!['time']);
      const after = await commands.json('log', '--from', `time:${time}`);
      expect(after.map(({ type }) => type)).toEqual(['CheckpointTaken']);
      expect(await commands.json('log', '--to', 'time:2020-01-01')).toEqual([]);
      expect(await commands.json('log', '--from', 'ago:1000d')).toEqual(all);
      const bounded = ['--from', second!, '--to', second!, '--pages'];
      expect(await commands.json('log', ...bounded)).toEqual(
        pages.filter(({ position }) => position === second),
      );
    },
    LONG_MS,
  );

  test('numbers the page events of a capture 2r, and their SharingBroken 2r + 1', () => {
    for (const { position, written } of captures) {
      const rows = pages.filter((row) => row['position'] === position && isPageEvent(row));
      const writes = rows.filter(({ type }) => type !== 'SharingBroken');
      expect(writes.map(({ item }) => item)).toEqual(
        Array.from({ length: Number(written) }, (_, row) => 2 * row),
      );
      const gfns = writes.map(({ gfn }) => Number(gfn));
      expect(gfns).toEqual(gfns.toSorted((a, b) => a - b));
      for (const [i, row] of rows.entries()) {
        if (row['type'] !== 'SharingBroken') continue;
        const write = rows[i - 1]!;
        expect([row['item'], row['gfn']]).toEqual([Number(write['item']) + 1, write['gfn']]);
        expect(row['identifier']).not.toBe(write['identifier']);
      }
    }
    expect(pages.filter(({ type }) => type === 'SharingBroken').length).toBeGreaterThan(3);
    const places = pages.filter(isPageEvent).map(placeOf);
    expect(new Set(places).size).toBe(places.length);
  });

  test('counts page events as the captures do', () => {
    for (const row of captures) {
      const of = pages.filter(({ position }) => position === row['position']);
      const count = (type: string): number => of.filter((event) => event['type'] === type).length;
      expect(row).toMatchObject({
        stored: count('PageStored'),
        merged: count('PageMerged'),
        pattern: count('PatternPageShared'),
        sharingBroken: count('SharingBroken'),
      });
    }
  });

  test.each(PAGE_EVENTS)(
    'of type %s is the batches that hold one, or those alone',
    async (type) => {
      const alone = await commands.json('log', '--type', type, '--pages');
      expect(alone).toEqual(pages.filter((row) => row['type'] === type));
      expect(alone.length).toBeGreaterThan(0);
      const batches = await commands.json('log', '--type', type);
      const holding = new Set(alone.map(({ position }) => position));
      expect(batches).toEqual(
        all.filter((row) => row['type'] === 'PagesWritten' && holding.has(row['position'])),
      );
    },
    LONG_MS,
  );

  test('bears in every row what other programs rely on', () => {
    const types = new Set(pages.map(({ type }) => type));
    for (const type of [
      'LedgerCreated',
      'GroupCreated',
      'VmRegistered',
      'PackWritten',
      'PagesWritten',
      'CaptureCommitted',
      'CheckpointTaken',
      ...PAGE_EVENTS,
    ])
      expect(types).toContain(type);
    for (const row of pages) {
      expect(String(row['position'])).toMatch(/^\d+$/u);
      expect(typeof row['position']).toBe('string');
      expect(row['item'] === null || Number.isSafeInteger(row['item'])).toBe(true);
      expect(typeof row['type']).toBe('string');
      expect(row['vm'] === null || typeof row['vm'] === 'string').toBe(true);
      expect(new Date(String(row['time'])).toISOString()).toBe(row['time']);
      expect(row['capture'] === null || Number.isSafeInteger(row['capture'])).toBe(true);
      if (!isPageEvent(row)) continue;
      expect(Number.isSafeInteger(row['gfn'])).toBe(true);
      const identifier = row['type'] === 'PatternPageShared' ? 'null' : '[0-9a-f]{64}';
      expect(String(row['identifier'])).toMatch(new RegExp(`^${identifier}$`, 'u'));
    }
  });

  test(
    'refuses a bound that names a place in one history',
    async () => {
      for (const at of ['@2', 'cp:two', 'soon']) {
        const outcome = await commands.run(['log', '--from', at]);
        expect([at, outcome.exitCode]).toEqual([at, 2]);
        expect(outcome.stdout.length).toBe(0);
      }
    },
    LONG_MS,
  );
});

test(
  'a reader that goes away ends the log quietly',
  async () => {
    await withTemporaryFolder(async (folder) => {
      const url = join(folder, 'ledger');
      const files = writeImages({
        folder,
        name: 'image',
        images: [makeImage({ seed: 3, pages: 4000 })],
      });
      await withLedger({ url, mode: 'create' }, (ledger) =>
        recordFiles(ledger, { vm: 'vm', files }),
      );
      const reader = new LedgerCommands(url).start(['--json', 'log', '--pages']);
      await reader.until(({ stdout }) => stdout.length > 0);
      reader.closeOutput();
      const outcome = await reader.ended;
      expect([outcome.exitCode, outcome.stderr]).toEqual([0, '']);
    });
  },
  LONG_MS,
);
