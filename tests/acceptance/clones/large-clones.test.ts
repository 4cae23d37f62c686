// Six clones of a guest under one limit: with all its regions held large, with those that were found cold
// held small, and with all of them small. Whatever is held how, each goes on as the guest that was recorded.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { programPath } from '../../../adapters/guests/demo-guest/tools.ts';
import {
  guestCommand,
  guestPaths,
  type DemoGuest,
} from '../../../adapters/guests/demo-guest/start-guest.ts';
import { MemoryGroup } from '../../../adapters/guests/memory-group.ts';
import { LedgerCommands, type JsonRow, type RunningCommand } from '../../support/command-line.ts';
import {
  describeWithQemu,
  findTools,
  GUEST_TIMEOUT_MS,
  type FoundTools,
} from '../../support/guest/real-guest.ts';
import { firstTicks, sameTicks, tickingGuest } from '../../support/guest/watched-guest.ts';
import { IS_LONG } from '../../support/long-run.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

/** Six guests are too many for the usual run. */
async function foundTools(): Promise<FoundTools> {
  if (!IS_LONG) return { tools: null, reason: 'it is in the long run' };
  if (!existsSync('/dev/fuse') || programPath('nbdfuse') === null)
    return { tools: null, reason: 'nbdfuse is not installed, or there is no /dev/fuse' };
  const group = MemoryGroup.make(`pageledger-try-${process.pid}`);
  group?.remove();
  if (group === null) return { tools: null, reason: 'no control group can be made' };
  return findTools();
}
const found = await foundTools();
const GUEST = { seed: 23, memoryMib: 128 };
const COUNT = 6;
const LINES = 3;
const PAGES_A_MIB = 256;

describeWithQemu('six clones under one limit', found, (tools) => {
  let folder: TemporaryFolder;
  let commands: LedgerCommands;
  let guest: DemoGuest;
  let running: RunningCommand | null = null;
  const environment = (): Record<string, string> => ({
    XDG_STATE_HOME: join(folder.path, 'state'),
  });
  const wordsOf = (name: string): readonly string[] =>
    guestCommand({ tools, folder: folder.path, ...GUEST, name });
  const consoleOf = (name: string): string => guestPaths({ folder: folder.path, name }).serialPath;

  /** Starts clones, and waits until all of them run, and tick. */
  async function cloned(name: string, count: number, ...options: string[]): Promise<JsonRow[]> {
    const words = ['--json', 'clone', '--vm', 'web', '--count', `${count}`, ...options];
    const command = commands.start([...words, '--', ...wordsOf(`${name}-{n}`)], {
      environment: environment(),
    });
    running = command;
    await command.until((each) => each.rows().length >= count);
    return command.rows().filter((row) => row['sentPages'] !== undefined);
  }
  const ticked = (name: string, rows: readonly JsonRow[]): Promise<string[][]> =>
    Promise.all(rows.map(({ n }) => firstTicks(consoleOf(`${name}-${String(n)}`), LINES)));
  async function ended(): Promise<JsonRow> {
    running!.signal('SIGINT');
    const { exitCode, stdout, stderr } = await running!.ended;
    running = null;
    if (exitCode !== 0) throw new TypeError(stderr);
    return JSON.parse(stdout.toString().trimEnd().split('\n').at(-1)!) as JsonRow;
  }
  const parked = (): number => running!.rows().filter((row) => row['parked'] === true).length;

  beforeAll(async () => {
    folder = await makeTemporaryFolder();
    commands = new LedgerCommands(join(folder.path, 'ledger'));
    guest = await tickingGuest({ tools, folder: folder.path, ...GUEST });
    const once = ['--count', '1', '--vm', 'web', '--qmp', guest.qmpPath];
    await commands.json('record', 'qemu', ...once);
    const sampled = ['resume', '--vm', 'web', '--sample', '1000', '--interval', '5s'];
    const command = commands.start(['--json', ...sampled, '--', ...wordsOf('sampled')]);
    await command.until((each) => each.rows().some((row) => row['split'] !== undefined));
    const { stdout } = await command.ended;
    const [{ pid }] = stdout
      .toString()
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as JsonRow) as [JsonRow];
    process.kill(Number(pid), 'SIGKILL');
  }, GUEST_TIMEOUT_MS);
  afterEach(async () => {
    if (running !== null) await ended();
  }, GUEST_TIMEOUT_MS);
  afterAll(async () => {
    await guest.kill();
    await folder.remove();
  }, GUEST_TIMEOUT_MS);

  test(
    'are those of a guest that was recorded with its regions held large, too',
    async () => {
      const record = ['record', 'qemu', '--vm', 'large', '--qmp', guest.qmpPath, '--count', '1'];
      const recorded: JsonRow[] = [];
      for (const holding of ['all', 'all', 'none'])
        recorded.push(...(await commands.json(...record, '--large', holding)));
      expect(Number(recorded[1]!['stored'])).toBeLessThan(Number(recorded[0]!['stored']));
      const heldAt = async (at: string): Promise<number> => {
        const [row] = await commands.json('sharing', '--vm', 'large', '--at', at);
        return Number(row!['heldLarge']);
      };
      const [first, second] = [await heldAt('@1'), await heldAt('@2')];
      // All that is no pattern of whole regions, as many pages at both.
      expect(first).toBeGreaterThan(10 * PAGES_A_MIB);
      expect(second).toBeGreaterThan(10 * PAGES_A_MIB);
      expect(await heldAt('@3')).toBe(0);
      for (const at of ['@1', '@2', '@3']) {
        const name = `large-${at.slice(1)}`;
        const words = ['resume', '--eager', '--vm', 'large', '--at', at, '--', ...wordsOf(name)];
        const resumed = commands.start(['--json', ...words]);
        await resumed.until((each) => each.rows().length === 1);
        const ticks = await firstTicks(consoleOf(name), LINES);
        resumed.signal('SIGINT');
        await resumed.ended;
        expect((await sameTicks(guest, ticks)).lines).toEqual(ticks);
      }
      expect((await commands.run(['verify'])).exitCode).toBe(0);
    },
    GUEST_TIMEOUT_MS,
  );

  test(
    'all run on where the cold regions are small, and not where all are large',
    async () => {
      const decisions = await commands.json('large-pages', '--vm', 'web');
      const split = decisions.filter((row) => row['decision'] === 'split').length;
      expect(split).toBeGreaterThan(0);
      expect(split).toBeLessThan(decisions.length);

      const [alone] = await cloned('alone', 1, '--large', 'none');
      await ticked('alone', [alone!]);
      const rollup = readFileSync(`/proc/${String(alone!['pid'])}/smaps_rollup`, 'utf8');
      const ownMib = Number(/^Anonymous: +(\d+) kB$/mu.exec(rollup)![1]) / 1024;
      await ended();
      const sentBy = async (holding: string): Promise<number> => {
        const [row] = await cloned(`sent-${holding}`, 1, '--large', holding);
        await ended();
        return Number(row!['sentPages']) / PAGES_A_MIB;
      };
      const large = { all: await sentBy('all'), follow: await sentBy('follow') };
      expect(large.all - large.follow).toBeGreaterThan(4);
      expect(large.follow).toBeGreaterThan(Number(alone!['sentPages']) / PAGES_A_MIB);

      // Between what each has that holds the hot regions large, and what each has that holds all.
      const limit = Math.ceil(COUNT * (ownMib + (large.all + large.follow) / 2));
      const under = ['--memory', `${limit}`, '--park', '--large'];
      const cold = await cloned('cold', COUNT, ...under, 'follow');
      const ticks = await ticked('cold', cold);
      for (const lines of ticks) expect(lines).toEqual(ticks[0]);
      expect((await sameTicks(guest, ticks[0]!)).lines).toEqual(ticks[0]);
      expect(parked()).toBe(0);
      expect(Number(cold[0]!['sentPages']) / PAGES_A_MIB).toBeCloseTo(large.follow, 0);
      await ended();

      const none = await cloned('none', COUNT, ...under, 'none');
      for (const lines of await ticked('none', none)) expect(lines).toEqual(ticks[0]);
      expect(parked()).toBe(0);
      await ended();

      await cloned('all', COUNT, ...under, 'all');
      await running!.until(() => parked() > 0);
      const kinds = (await commands.json('clones')).map(({ kind }) => kind);
      expect(kinds).toContain('parked');
      expect(kinds).toContain('mapped');
      await ended();
    },
    2 * GUEST_TIMEOUT_MS,
  );
});
