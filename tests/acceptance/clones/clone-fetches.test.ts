// What clones fetch of their base, as the ledger says it: who read a page first, who found it on the host, what
// left and was read again; and the counts that `clones` shows of it. With real guests.

import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { MemoryGroup } from '../../../adapters/guests/memory-group.ts';
import { EVICTION_POLICIES } from '../../../domain/eviction-policies.ts';
import { pagesIn, type PageRanges } from '../../../domain/values/page-ranges.ts';
import { openLedger } from '../../../index.ts';
import { LedgerCommands, type JsonRow, type RunningCommand } from '../../support/command-line.ts';
import { clonesOf, guestsIn, interrupted } from '../../support/guest/guests-in-folder.ts';
import {
  describeWithQemu,
  findMountTools,
  GUEST_TIMEOUT_MS,
} from '../../support/guest/real-guest.ts';
import { firstTicks, tickingGuest } from '../../support/guest/watched-guest.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const GUEST = { seed: 23, memoryMib: 128 };
const PAGES = (GUEST.memoryMib * 2 ** 20) / 4096;
const LINES = 3;

/** Where the kernel accounts for the memory of each clone. */
const group = MemoryGroup.make(`pageledger-try-fetches-${process.pid}`);
group?.remove();
const limited = group === null ? describe.skip : describe;

describeWithQemu('what clones fetch', await findMountTools(), (tools) => {
  let folder: TemporaryFolder;
  let commands: LedgerCommands;
  let running: RunningCommand | null = null;
  const { at, environment, wordsOf, consoleOf } = guestsIn(() => folder.path, { tools, ...GUEST });

  /** Starts clones, and waits until all of them print. */
  async function cloned(name: string, count: number, ...options: string[]): Promise<JsonRow[]> {
    const words = ['clone', '--vm', 'web', '--count', `${count}`, ...options];
    running = commands.start(['--json', ...words, '--', ...wordsOf(`${name}-{n}`)], {
      environment: environment(),
    });
    const rows = await clonesOf(running, count);
    await Promise.all(rows.map(({ n }) => firstTicks(consoleOf(`${name}-${String(n)}`), LINES)));
    return rows;
  }
  const ended = async (): Promise<JsonRow> => {
    const { stdout } = await interrupted(running!);
    running = null;
    return JSON.parse(stdout.toString().trimEnd().split('\n').at(-1)!) as JsonRow;
  };

  /** Pages that events of a type name, of some clones. */
  async function pagesTold(
    type: string,
    field: string,
    ids: readonly unknown[],
  ): Promise<PageRanges[]> {
    const rows = await commands.json('log', '--type', type);
    return rows.filter((row) => ids.includes(row['clone'])).map((row) => row[field] as PageRanges);
  }
  const sum = (lists: readonly PageRanges[]): number =>
    lists.reduce((pages, ranges) => pages + pagesIn(ranges), 0);

  beforeAll(async () => {
    folder = await makeTemporaryFolder();
    commands = new LedgerCommands(at('ledger'));
    const guest = await tickingGuest({ tools, folder: folder.path, ...GUEST });
    await commands.json('record', 'qemu', '--vm', 'web', '--qmp', guest.qmpPath, '--count', '1');
    await guest.kill();
  }, GUEST_TIMEOUT_MS);
  afterEach(async () => {
    if (running === null) return;
    running.signal('SIGINT');
    await running.ended;
    running = null;
  }, GUEST_TIMEOUT_MS);
  afterAll(async () => {
    await folder.remove();
  }, GUEST_TIMEOUT_MS);

  test(
    'one reads of the server what no other had, finds the rest on the host, and what it wrote is its own',
    async () => {
      const rows = await cloned('two', 2);
      const ids = rows.map(({ id }) => id);
      const told = async (): Promise<number[]> =>
        (await commands.json('clones')).map((row) => Number(row['hostPages']));
      while (!(await told()).some((pages) => pages > 0));
      const summary = await ended();
      const [server, host, own] = await Promise.all(
        ['server', 'host', 'own'].map((field) => pagesTold('PageFetched', field, ids)),
      );
      // What one clone fetched no other did: nothing was dropped meanwhile.
      const all = server!
        .flat()
        .flatMap(([first, last]) => Array.from({ length: last - first + 1 }, (_, i) => first + i));
      expect(new Set(all).size).toBe(all.length);
      expect(all.length).toBeLessThan(PAGES);
      expect(sum(host!)).toBeGreaterThan(0);
      expect(sum(own!)).toBeGreaterThan(0);
      expect(summary).toMatchObject({ serverPages: sum(server!), hostPages: sum(host!) });
      // The fold of the whole log, when what was derived is gone, says the same.
      const ledger = await openLedger({ url: at('ledger'), mode: 'use' });
      const before = ledger.state.hostMemory;
      await ledger.state.rebuild();
      expect(ledger.state.hostMemory).toEqual(before);
      const [counts] = ledger.state.hostMemory.hosts.values();
      expect(counts).toMatchObject({
        server: sum(server!),
        host: sum(host!),
        started: 2,
        ended: 2,
      });
      await ledger.close();
    },
    GUEST_TIMEOUT_MS,
  );

  limited('held to a limit', () => {
    test(
      'read again what they dropped and need, and both are counted',
      async () => {
        const rows = await cloned('held', 2, '--memory', '8');
        const again = async (): Promise<number> =>
          (await commands.json('clones')).reduce(
            (pages, row) => pages + Number(row['refetchedPages']),
            0,
          );
        while ((await again()) === 0);
        const summary = await ended();
        const ids = rows.map(({ id }) => id);
        const evicted = sum(await pagesTold('PageEvicted', 'pages', ids));
        expect(evicted).toBeGreaterThan(0);
        expect(Number(summary['refetchedPages'])).toBeGreaterThan(0);
        expect(Number(summary['evictedPages'])).toBe(evicted);

        // Other policies, over what was touched: none of them beats the one that knows what comes.
        const replayed = await commands.json('clones', '--what-if', 'all');
        expect(new Set(replayed.map(({ policy }) => policy))).toEqual(new Set(EVICTION_POLICIES));
        for (const { fetchedPages, overBest, references, pages } of replayed) {
          expect(Number(overBest)).toBeGreaterThanOrEqual(1);
          expect(Number(fetchedPages)).toBeLessThanOrEqual(Number(references));
          expect(Number(references)).toBeGreaterThan(Number(pages));
        }
        expect(await commands.json('clones', '--what-if', 'lru', '--memory', '1')).toHaveLength(2);
        const { exitCode, stderr } = await commands.run(['clones', '--what-if', 'mru']);
        expect([exitCode, stderr]).toEqual([2, expect.stringContaining('"mru" is no policy')]);
      },
      GUEST_TIMEOUT_MS,
    );
  });
});
