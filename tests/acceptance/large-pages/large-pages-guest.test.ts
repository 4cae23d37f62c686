// Regions of a real guest, looked at while it runs: of those in which a program writes, reads, or does
// nothing, the cold ones are found, and the hot ones kept, read or written.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  consoleLine,
  consoleLines,
  type DemoGuest,
} from '../../../adapters/guests/demo-guest/start-guest.ts';
import { delay } from '../../../adapters/guests/qemu/migration-control.ts';
import { resumeLazily, type LazyGuest } from '../../../adapters/wiring/restore/resume.ts';
import type { RegionRow } from '../../../domain/events/control.ts';
import { PAGE_BYTES, REGION_PAGES } from '../../../domain/values/page.ts';
import { LedgerCommands, type JsonRow } from '../../support/command-line.ts';
import { startShellGuest } from '../../support/guest/proc-guest.ts';
import {
  describeWithQemu,
  findTools,
  GUEST_TIMEOUT_MS,
  type FoundTools,
} from '../../support/guest/real-guest.ts';
import { IS_LONG } from '../../support/long-run.ts';
import { withLedger } from '../../support/ledgers/recorded-images.ts';
import { HELD, writerProgram } from '../../support/guest/writer-program.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

/** A guest that asks for each of its pages starts slowly. */
const found: FoundTools = IS_LONG
  ? await findTools()
  : { tools: null, reason: 'it is in the long run' };
/** Pages of the program: written round after round, read, and touched never again. */
const WRITTEN = 3 * REGION_PAGES;
const READ = 3 * REGION_PAGES;
const COLD = 6 * REGION_PAGES;
const PROGRAM = { pages: WRITTEN + READ + COLD, written: WRITTEN, read: READ, pauseMs: 100 };
/** Large pages, so that the program's memory lies in regions of its own: a small guest has none by itself. */
const INIT = `#!/bin/sh
mount -t devtmpfs dev /dev 2>/dev/null
mkdir -p /sys
mount -t sysfs sys /sys
echo always > /sys/kernel/mm/transparent_hugepage/enabled
exec >/dev/console 2>&1
exec writer
`;
/** Pages of a hot region that the program writes or reads, at least. */
const HOT_PAGES = REGION_PAGES / 4;

/** Rounds of the program in the interval. */
const ROUNDS = 3;

type Use = 'written' | 'read' | 'cold';
const useOf = (page: number): Use => {
  if (page < WRITTEN) return 'written';
  return page < WRITTEN + READ ? 'read' : 'cold';
};

/** Pages of each use in a region. */
type Uses = Readonly<Record<Use, number>>;

/** By region, how many of its pages are of which use of the program. */
function usesIn(memory: Buffer): readonly Uses[] {
  const uses = Array.from({ length: memory.length / PAGE_BYTES / REGION_PAGES }, () => ({
    written: 0,
    read: 0,
    cold: 0,
  }));
  for (let page = 0; page < uses.length * REGION_PAGES; page += 1) {
    const held = (Number(memory.readBigUInt64LE(page * PAGE_BYTES)) - HELD) / PAGE_BYTES;
    if (Number.isInteger(held) && held >= 0 && held < PROGRAM.pages)
      uses[Math.floor(page / REGION_PAGES)]![useOf(held)] += 1;
  }
  return uses;
}

/** The use of a region that is of one: hot where it has so many hot pages, cold where it has no others. */
function useOfRegion({ written, read, cold }: Uses): Use | null {
  if (cold === REGION_PAGES) return 'cold';
  if (written >= HOT_PAGES) return 'written';
  return written === 0 && read >= HOT_PAGES ? 'read' : null;
}

describeWithQemu('large pages of a guest', found, (tools) => {
  let folder: TemporaryFolder;
  let commands: LedgerCommands;
  let guest: DemoGuest;
  let second = 0;

  beforeAll(async () => {
    folder = await makeTemporaryFolder();
    commands = new LedgerCommands(join(folder.path, 'ledger'));
    const of = { tools, folder: folder.path, name: 'guest', mebibytes: 128 };
    const programs = [{ name: 'writer', content: writerProgram(PROGRAM) }];
    guest = await startShellGuest(of, { init: INIT, programs });
    await consoleLine({ serialPath: guest.serialPath, pattern: /^W$/u, timeoutMs: 120_000 });
    await commands.json('record', 'qemu', '--vm', 'guest', '--qmp', guest.qmpPath, '--count', '1');
    await guest.kill();
  }, GUEST_TIMEOUT_MS);
  afterAll(async () => {
    if (second > 0) process.kill(second, 'SIGKILL');
    await folder.remove();
  });

  const regionRows = async (): Promise<ReadonlyMap<number, JsonRow>> => {
    const rows = await commands.json('large-pages', '--vm', 'guest');
    return new Map(rows.map((row) => [Number(row['region']), row]));
  };

  test(
    'are split where it does nothing, and kept where it writes or reads',
    async () => {
      const to = join(folder.path, 'memory.raw');
      await commands.json('restore', '--vm', 'guest', '--to', to);
      const uses = usesIn(readFileSync(to)).map(useOfRegion);
      const regionsOf = (use: Use): number[] =>
        uses.flatMap((of, region) => (of === use ? [region] : []));
      for (const use of ['written', 'read', 'cold'] as const)
        expect([use, regionsOf(use).length > 0]).toEqual([use, true]);
      const serialPath = guest.serialPath.replace('/guest.', '/again.');
      const command = guest.argv.map((word) =>
        word.endsWith('.gz') ? word : word.replace('/guest.', '/again.'),
      );
      const events = await withLedger({ url: commands.ledger, mode: 'use' }, async (ledger) => {
        const entry = ledger.vm('guest');
        const point = { entry, row: ledger.resolve(entry, 'latest') };
        // However slow the machine is, its program goes round that often.
        const interval = async (): Promise<void> => {
          const isRound = () =>
            consoleLines(serialPath).filter((line) => line === 'W').length >= ROUNDS;
          while (!isRound()) await delay(20);
        };
        const sampling = { regions: 1000, threshold: 16, interval };
        const of = {
          command,
          isDiskOk: false,
          isOnDemandOnly: false,
          stdio: 'ignore',
          sampling,
        } as const;
        const resumed = await resumeLazily(ledger, point, of);
        expect(resumed._tag).toBe('arriving');
        second = resumed.process.pid ?? 0;
        const { judged, arrived } = resumed as LazyGuest;
        expect(await arrived).toBe('finished');
        return judged;
      });
      const rows = await regionRows();
      const decisions = (use: Use): unknown[] => [
        ...new Set(regionsOf(use).map((region) => rows.get(region)!['decision'])),
      ];
      expect([decisions('written'), decisions('read'), decisions('cold')]).toEqual([
        ['restored'],
        ['restored'],
        ['split'],
      ]);
      const restored = events.filter(({ type }) => type === 'LargePageRestored');
      const kept = restored.flatMap(({ data }) => data.regions as readonly RegionRow[]);
      const activity = new Map(kept.map((row) => [row.region, row.activity]));
      for (const region of [...regionsOf('written'), ...regionsOf('read')])
        expect(activity.get(region)).toBeGreaterThanOrEqual(HOT_PAGES);
      await expectBits(regionsOf('cold'));
      await expectOrders();
    },
    GUEST_TIMEOUT_MS,
  );

  /** The guest's kernel gave the program large pages, each with one bit, and it wrote to all of them once. */
  async function expectBits(regions: readonly number[]): Promise<void> {
    const rows = await commands.json('large-pages', '--vm', 'guest', '--source', 'bits');
    const all = { mapped: REGION_PAGES, accessed: REGION_PAGES, dirty: REGION_PAGES };
    for (const region of regions)
      expect(rows.find((row) => row['region'] === region)).toMatchObject({
        ...all,
        inLarge: REGION_PAGES,
        activity: REGION_PAGES,
      });
    // Nobody knows of memory that no process has.
    expect(rows.some((row) => row['mapped'] === 0 && row['activity'] === null)).toBe(true);
  }

  /** The QEMU that was resumed is told to be split where that was decided, by a file that stands in for the kernel's. */
  async function expectOrders(): Promise<void> {
    const file = join(folder.path, 'orders');
    const asked = ['large-pages', '--vm', 'guest', '--process', `${second}`, '--split'];
    expect(await commands.errorOf(...asked, '--split-file', file)).toEqual([5, 'NOT_FOUND']);
    writeFileSync(file, '');
    const rows = await commands.json(...asked, '--split-file', file);
    const told = rows.find((row) => row['regions'] !== undefined)!;
    const split = rows.filter((row) => row['decision'] === 'split');
    expect(Number(told['regions'])).toBeGreaterThanOrEqual(split.length);
    const orders = readFileSync(file, 'utf8').trimEnd().split('\n');
    const bytes = orders.reduce((sum, order) => {
      const [pid, from, to] = order.split(',').map(Number);
      expect(pid).toBe(second);
      return sum + to! - from!;
    }, 0);
    expect(bytes).toBe(Number(told['regions']) * REGION_PAGES * PAGE_BYTES);
  }
});
