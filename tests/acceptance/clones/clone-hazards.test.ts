// What befalls clones from outside: their master is dropped while they run, and who parks one is killed at
// each step. A clone goes on, stands, or has gone; it never runs twice, and reads what it began with.

import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import type { DemoGuest } from '../../../adapters/guests/demo-guest/start-guest.ts';
import { LedgerCommands, type JsonRow, type RunningCommand } from '../../support/command-line.ts';
import { guestsIn, interrupted } from '../../support/guest/guests-in-folder.ts';
import {
  describeWithQemu,
  findMountTools,
  GUEST_TIMEOUT_MS,
  inLongRun,
} from '../../support/guest/real-guest.ts';
import { withQmp } from '../../support/guest/still-guest.ts';
import { firstTicks, sameTicks, tickingGuest, ticksOf } from '../../support/guest/watched-guest.ts';
import { parkUntil } from '../../support/processes/killed-parking.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const GUEST = { seed: 31, memoryMib: 128 };
const LINES = 3;

const isRunning = (qmpPath: string): Promise<unknown> =>
  withQmp(qmpPath, async (qmp) => {
    const { running } = (await qmp.execute('query-status')) as { running?: boolean };
    return running;
  });

describeWithQemu('clones, whatever befalls them', inLongRun(await findMountTools()), (tools) => {
  let folder: TemporaryFolder;
  let commands: LedgerCommands;
  let guest: DemoGuest;
  let running: RunningCommand | null = null;
  const { at, environment, wordsOf, consoleOf } = guestsIn(() => folder.path, { tools, ...GUEST });
  const ticksIn = (name: string): string[] =>
    // The last line may have been cut where it was parked.
    ticksOf(readFileSync(consoleOf(name), 'latin1').split(/\r?\n/u).slice(0, -1));

  /** Starts one guest by `clone` or `wake`. */
  async function started(name: string, ...words: string[]): Promise<JsonRow> {
    running = commands.start(['--json', ...words, '--', ...wordsOf(name)], {
      environment: environment(),
    });
    await running.until((command) => command.rows().length === 1);
    return running.rows()[0]!;
  }
  const ended = async (): Promise<void> => {
    const command = running!;
    running = null;
    await interrupted(command);
  };
  const more = (name: string): Promise<string[]> =>
    firstTicks(consoleOf(name), ticksIn(name).length + LINES);
  const isWhole = async (): Promise<void> => {
    const { exitCode, stderr } = await commands.run(['verify']);
    expect([exitCode, stderr]).toEqual([0, expect.anything()]);
  };

  beforeAll(async () => {
    folder = await makeTemporaryFolder();
    commands = new LedgerCommands(at('ledger'));
    guest = await tickingGuest({ tools, folder: folder.path, ...GUEST });
    for (const vm of ['web', 'dropped']) {
      const every = ['--count', '2', '--every', '1s'];
      await commands.json('record', 'qemu', '--vm', vm, '--qmp', guest.qmpPath, ...every);
    }
  }, GUEST_TIMEOUT_MS);
  afterEach(async () => {
    if (running !== null) await ended();
  }, GUEST_TIMEOUT_MS);
  afterAll(async () => {
    await guest.kill();
    await folder.remove();
  }, GUEST_TIMEOUT_MS);

  test(
    'one whose master is dropped, and all of that compacted away, reads what it began with',
    async () => {
      const { pid } = await started('dropped', 'clone', '--vm', 'dropped', '--at', '@1');
      const [judged] = await commands.json(
        'forget',
        '--vm',
        'dropped',
        '--keep-last',
        '1',
        '--dry-run',
      );
      expect(judged).toMatchObject({ capture: 1, keep: true });
      expect(String(judged!['reason'])).toContain(`process ${String(pid)}`);

      const [dropped] = await commands.json('drop', '--vm', 'dropped');
      expect(dropped).toMatchObject({ captures: 1, leased: 1, retired: true });
      await commands.json('compact', '--grace', '0s');
      const ticks = await firstTicks(consoleOf('dropped'), 2 * LINES);
      expect((await sameTicks(guest, ticks)).lines).toEqual(ticks);
      await ended();
      await commands.json('compact', '--grace', '0s');
      expect(await commands.json('leases')).toEqual([]);
      const { exitCode, stderr } = await commands.run([
        'restore',
        '--vm',
        'dropped',
        '--at',
        '@1',
        '--to',
        at('raw'),
      ]);
      expect([exitCode, stderr]).toEqual([5, expect.anything()]);
    },
    GUEST_TIMEOUT_MS,
  );

  test(
    'one that was being parked by who was killed goes on, stands or is parked, and runs once',
    async () => {
      const row = await started('park-1', 'clone', '--vm', 'web', '--at', '@1');
      const id = String(row['id']);
      const qmp = String(row['qmp']);
      const vm = `web-${id.slice(0, 8)}`;
      const capturesOf = async (): Promise<unknown[]> =>
        (await commands.json('vms'))
          .filter((each) => each['vm'] === vm)
          .map((each) => each['captures']);
      const kinds = async (): Promise<unknown[]> =>
        (await commands.json('clones')).map((each) => each['kind']);
      const killedAt = (step: Parameters<typeof parkUntil>[0], of: string): Promise<void> =>
        parkUntil(step, { url: at('ledger'), id: of });
      await more('park-1');

      await killedAt('captured', id);
      await more('park-1');
      expect([await kinds(), (await capturesOf()).filter((count) => count !== 0)]).toEqual([
        ['mapped'],
        [],
      ]);

      await killedAt('recorded', id);
      await more('park-1');
      expect([await kinds(), await capturesOf()]).toEqual([['mapped'], [1]]);
      await isWhole();

      await killedAt('standing', id);
      expect(await isRunning(qmp)).toBe(false);
      expect([await kinds(), await capturesOf()]).toEqual([['mapped'], [2]]);
      await commands.json('park', id);
      expect((await running!.ended).exitCode).toBe(0);
      running = null;
      expect(await kinds()).toEqual(['parked']);

      const woken = await started('park-2', 'wake', id);
      await more('park-2');
      await killedAt('said', String(woken['id']));
      expect(await isRunning(String(woken['qmp']))).toBe(false);
      expect(await kinds()).toEqual(['parked']);
      await ended();
      await started('park-3', 'wake', String(woken['id']));
      await more('park-3');
      await ended();

      const ticks = ['park-1', 'park-2', 'park-3'].flatMap(ticksIn);
      expect((await sameTicks(guest, ticks)).lines).toEqual(ticks);
      await isWhole();
    },
    2 * GUEST_TIMEOUT_MS,
  );
});
