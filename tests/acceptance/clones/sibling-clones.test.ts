// Eight clones of one master, and eight of two masters that are siblings: all of them have what both masters
// have in common from one file, each does its own work, and each is recorded by what it wrote.

import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import type { DemoGuest } from '../../../adapters/guests/demo-guest/start-guest.ts';
import { LedgerCommands, type JsonRow, type RunningCommand } from '../../support/command-line.ts';
import { clonesOf, interrupted } from '../../support/guest/guests-in-folder.ts';
import {
  describeWithQemu,
  findMountTools,
  GUEST_TIMEOUT_MS,
  inLongRun,
} from '../../support/guest/real-guest.ts';
import { guestMib } from '../../support/processes/process-memory.ts';
import { doneLine, startToldGuest, toldCommand, workOf } from '../../support/guest/told-guest.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const MEMORY_MIB = 96;
const PAGES = (MEMORY_MIB * 2 ** 20) / 4096;
/** Clones of each of two masters; of one alone twice as many. */
const COUNT = 4;
/** Lines of 21 bytes that the i-th guest holds: some 200 to 500 pages. */
const linesOf = (i: number): number => 40_000 + 7_000 * i;

describeWithQemu('eight clones', inLongRun(await findMountTools()), (tools) => {
  let folder: TemporaryFolder;
  let commands: LedgerCommands;
  let guest: DemoGuest;
  const running: RunningCommand[] = [];
  const at = (name: string): string => join(folder.path, name);
  const named = (name: string) => ({ folder: folder.path, name });
  const wordsOf = (name: string): readonly string[] =>
    toldCommand({ tools, memoryMib: MEMORY_MIB, ...named(name) });

  async function cloned(vm: string, count: number): Promise<JsonRow[]> {
    const words = ['clone', '--vm', vm, '--count', `${count}`, '--', ...wordsOf(`${vm}-{n}`)];
    const command = commands.start(['--json', ...words], {
      environment: { XDG_STATE_HOME: at('state') },
    });
    running.push(command);
    return clonesOf(command, count);
  }
  async function ended(command: RunningCommand): Promise<void> {
    running.splice(running.indexOf(command), 1);
    await interrupted(command);
  }
  const recorded = async (vm: string, row: JsonRow): Promise<JsonRow> => {
    const socket = String(row['qmp']);
    const words = ['--vm', vm, '--qmp', socket, '--count', '1'];
    return (await commands.json('record', 'qemu', ...words))[0]!;
  };
  /** Records each of some clones, whose work is in that, and little else. */
  async function areRecordedByWork(vm: string, rows: readonly JsonRow[]): Promise<void> {
    for (const [i, row] of rows.entries()) {
      const first = await recorded(`${vm}-own-${i}`, row);
      expect(first['mode']).toBe('clone');
      const stored = Number(first['stored']);
      expect(stored).toBeGreaterThan((linesOf(i) * 21) / 4096 / 2);
      expect(stored).toBeLessThan(PAGES / 4);
      const added = Number(first['addedBytes']);
      expect(added).toBeGreaterThan(0);
      expect(added).toBeLessThan(stored * 4096);
    }
  }

  /** Gives each of some clones work of its own. */
  const work = (vm: string, rows: readonly JsonRow[], first: number): Promise<void[]> =>
    Promise.all(
      rows.map(async ({ n }, i) => {
        const told = { number: first + i, lines: linesOf(i) };
        expect(await workOf(named(`${vm}-${String(n)}`), told)).toBe(doneLine(told));
      }),
    );

  beforeAll(async () => {
    folder = await makeTemporaryFolder();
    commands = new LedgerCommands(at('ledger'));
    guest = await startToldGuest({ tools, memoryMib: MEMORY_MIB, ...named('master') });
    const once = ['--vm', 'web', '--qmp', guest.qmpPath, '--count', '1'];
    await commands.json('record', 'qemu', ...once);
    await guest.kill();
  }, GUEST_TIMEOUT_MS);
  afterEach(async () => {
    for (const command of [...running].toReversed()) await ended(command);
  }, GUEST_TIMEOUT_MS);
  afterAll(async () => {
    await folder.remove();
  }, GUEST_TIMEOUT_MS);

  test(
    'of one master do work of their own, all in little more memory than one, and are recorded by that',
    async () => {
      const rows = await cloned('web', 2 * COUNT);
      await work('web', rows, 500);
      const mib = rows.reduce((sum, { pid }) => sum + guestMib(pid, MEMORY_MIB), 0);
      expect(mib).toBeGreaterThan(0);
      expect(mib).toBeLessThan(1.5 * MEMORY_MIB);
      await areRecordedByWork('eight', rows);
      await ended(running[0]!);
    },
    GUEST_TIMEOUT_MS,
  );

  test(
    'of two siblings have what these hold alike from one file, do work of their own, and are recorded by that',
    async () => {
      // The sibling: a clone that has lived for a while, recorded as a VM of its own.
      const [one] = await cloned('web', 1);
      await work('web', [one!], 900);
      expect(await recorded('db', one!)).toMatchObject({ vm: 'db', capture: 1, mode: 'clone' });
      await ended(running[0]!);

      const ofWeb = await cloned('web', COUNT);
      const ofDb = await cloned('db', COUNT);
      for (const row of ofWeb) expect(row).toMatchObject({ base: 'web@1' });
      for (const row of ofDb) {
        expect(row).toMatchObject({ vm: 'db', capture: 1, base: 'web@1' });
        expect(Number(row['sentPages'])).toBeGreaterThan(linesOf(0) / 200);
        expect(Number(row['sentPages'])).toBeLessThan(PAGES / 4);
      }
      await Promise.all([work('web', ofWeb, 100), work('db', ofDb, 200)]);

      const listed = await commands.json('clones');
      for (const master of ['db', 'web'])
        expect(listed.filter(({ vm }) => vm === master)).toHaveLength(COUNT);
      await areRecordedByWork('web', ofWeb);
      await areRecordedByWork('db', ofDb);

      // The file stays until the last command that maps it has ended.
      const published = await commands.json('log', '--type', 'MasterPublished');
      const places = published.map((row) => JSON.stringify(row).match(/"to":"([^"]+)"/u)![1]!);
      expect(new Set(places.slice(-2)).size).toBe(1);
      const base = dirname(places.at(-1)!);
      await ended(running[0]!);
      await work('db', ofDb, 300);
      expect(existsSync(base)).toBe(true);
      await ended(running[0]!);
      expect(existsSync(base)).toBe(false);
    },
    GUEST_TIMEOUT_MS,
  );
});
