// Clones where nothing of the ledger is but a socket: in a network of their own, or also with processes of
// their own, as on another host. The ledger that serves them knows who they are, and holds their point for
// them whatever becomes of the server, or of them.

import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { programPath } from '../../../adapters/guests/demo-guest/tools.ts';
import {
  guestCommand,
  guestPaths,
  type DemoGuest,
} from '../../../adapters/guests/demo-guest/start-guest.ts';
import { connectQmp } from '../../../adapters/guests/qemu/qmp-client.ts';
import { LedgerCommands, type JsonRow, type RunningCommand } from '../../support/command-line.ts';
import { CountingRelay } from '../../support/clients/counting-relay.ts';
import {
  describeWithQemu,
  findTools,
  GUEST_TIMEOUT_MS,
  inLongRun,
} from '../../support/guest/real-guest.ts';
import {
  firstTicks,
  quitGuest,
  sameTicks,
  stopGuest,
  tickingGuest,
  tickNumber,
} from '../../support/guest/watched-guest.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const atHand = await findTools();
const isThere = existsSync('/dev/fuse') && programPath('nbdfuse') !== null;
const found = isThere
  ? atHand
  : { tools: null, reason: 'nbdfuse is not installed, or there is no /dev/fuse' };
const GUEST = { seed: 37, memoryMib: 128 };
const BYTES = GUEST.memoryMib * 2 ** 20;
const LINES = 3;
/** How often the server is killed under running clones, and how much of their memory they read each time. */
const KILLS = 20;
const PART_BYTES = 4 * 2 ** 20;

/** A network of its own, in which nothing is; and a host of its own, as far as a host can be told. */
const NETWORK = ['unshare', '--net'];
const HOST = [...NETWORK, '--pid', '--fork', '--kill-child', '--mount-proc'];
const canBeApart = spawnSync(HOST[0]!, [...HOST.slice(1), 'true']).status === 0;
// Namespaces can be made by root alone here and there.
const apart = canBeApart ? describe : describe.skip;

describeWithQemu('clones that have a socket alone', inLongRun(found), (tools) => {
  let folder: TemporaryFolder;
  let here: LedgerCommands;
  let far: LedgerCommands;
  let guest: DemoGuest;
  const running: RunningCommand[] = [];
  const at = (name: string): string => join(folder.path, name);
  const environment = (): Record<string, string> => ({ XDG_STATE_HOME: at('state') });
  const wordsOf = (name: string): readonly string[] =>
    guestCommand({ tools, folder: folder.path, ...GUEST, name });
  const consoleOf = (name: string): string => guestPaths({ folder: folder.path, name }).serialPath;

  async function started(
    commands: LedgerCommands,
    of: { readonly rows: number; readonly through?: readonly string[] },
    ...words: string[]
  ): Promise<RunningCommand> {
    const { rows, through = [] } = of;
    const command = commands.start(['--json', ...words], { environment: environment(), through });
    running.push(command);
    await command.until((each) => each.rows().length === rows);
    return command;
  }
  const ended = async (command: RunningCommand, signal: NodeJS.Signals): Promise<void> => {
    running.splice(running.indexOf(command), 1);
    command.signal(signal);
    await command.ended;
  };
  const serving = (): Promise<RunningCommand> => {
    const words = [
      'serve',
      'memory',
      '--vm',
      'web',
      '--at',
      '@1',
      '--listen',
      `unix:${at('sock')}`,
    ];
    return started(here, { rows: 1 }, ...words);
  };
  const cloning = (
    from: string,
    of: {
      readonly count: number;
      readonly name: string;
      readonly through: readonly string[];
      readonly words?: readonly string[];
    },
  ): Promise<RunningCommand> => {
    const words = ['clone', '--from', from, '--count', `${of.count}`, ...(of.words ?? [])];
    const { count: rows, through } = of;
    return started(far, { rows, through }, ...words, '--', ...wordsOf(of.name));
  };
  /** Has QEMU read a part of a guest's memory, PART_BYTES long: what it lacks of that it fetches. */
  async function readPart(name: string, part: number): Promise<Buffer> {
    const qmp = await connectQmp({
      path: guestPaths({ folder: folder.path, name }).qmpPath,
      // Its QEMU answers nothing while it waits for memory.
      connectTimeoutMs: GUEST_TIMEOUT_MS,
      commandTimeoutMs: GUEST_TIMEOUT_MS,
    });
    const filename = at(`part-${name}`);
    try {
      const val = part * PART_BYTES;
      await qmp.execute('pmemsave', { val, size: PART_BYTES, filename });
      return readFileSync(filename);
    } finally {
      qmp.close();
    }
  }
  const goesOn = async (...names: string[]): Promise<void> => {
    for (const name of names) {
      const ticks = await firstTicks(consoleOf(name), LINES);
      expect((await sameTicks(guest, ticks)).lines).toEqual(ticks);
    }
  };
  const leasesOf = async (kind: string): Promise<JsonRow[]> =>
    (await here.json('leases')).filter((row) => row['kind'] === kind);

  beforeAll(async () => {
    folder = await makeTemporaryFolder();
    here = new LedgerCommands(at('ledger'));
    far = new LedgerCommands(at('far-ledger'));
    guest = await tickingGuest({ tools, folder: folder.path, ...GUEST });
    const every = ['--count', '2', '--every', '1s'];
    await here.json('record', 'qemu', '--vm', 'web', '--qmp', guest.qmpPath, ...every);
  }, GUEST_TIMEOUT_MS);
  afterEach(async () => {
    for (const command of [...running].toReversed()) await ended(command, 'SIGINT');
  }, GUEST_TIMEOUT_MS);
  afterAll(async () => {
    await guest.kill();
    await folder.remove();
  }, GUEST_TIMEOUT_MS);

  test(
    `read on, mapped and sent what they touch, when their server is killed ${KILLS} times`,
    async () => {
      await here.json('restore', '--vm', 'web', '--at', '@1', '--to', at('raw'));
      const wanted = readFileSync(at('raw'));
      const key = at('key');
      await here.run(['group', 'export', '--group', 'default', '--to', key]);
      let server = await serving();
      const words = ['--key', key];
      const mapped = await cloning(at('sock'), { count: 2, name: 'map-{n}', through: [], words });
      const sent = await cloning(at('sock'), {
        count: 2,
        name: 'sent-{n}',
        through: [],
        words: [...words, '--postcopy'],
      });
      const kinds = (await here.json('clones')).map(({ kind }) => kind);
      expect(kinds).toEqual(['mapped', 'mapped', 'postcopy', 'postcopy']);
      const names = ['map-1', 'map-2', 'sent-1', 'sent-2'];
      await goesOn(...names);
      let waited = 0;
      let alike = 0;
      for (let kill = 0; kill < KILLS; kill += 1) {
        await ended(server, 'SIGKILL');
        const reading = Promise.all(names.map((name) => readPart(name, kill)));
        if ((await Promise.race([reading, pause(300, 'waits')])) === 'waits') waited += 1;
        server = await serving();
        for (const part of await reading)
          for (let page = 0; page < PART_BYTES; page += 4096) {
            const from = kill * PART_BYTES + page;
            alike +=
              Buffer.compare(
                part.subarray(page, page + 4096),
                wanted.subarray(from, from + 4096),
              ) === 0
                ? 1
                : 0;
          }
      }
      expect(waited).toBeGreaterThan(KILLS / 4);
      // All but what they wrote is as it was recorded.
      expect(alike).toBeGreaterThan((names.length * KILLS * PART_BYTES) / 4096 / 2);
      await goesOn(...names);
      for (const name of names) {
        const qmp = await connectQmp({ path: guestPaths({ folder: folder.path, name }).qmpPath });
        expect(await qmp.execute('query-status')).toMatchObject({ running: true });
        qmp.close();
      }
      await ended(sent, 'SIGINT');
      await ended(mapped, 'SIGINT');
      expect(await here.json('clones')).toEqual([]);
    },
    4 * GUEST_TIMEOUT_MS,
  );

  test(
    'that are sent what they touch stand when who sends it is killed, and go on with another',
    async () => {
      await serving();
      const of = { count: 1, name: 'left', through: [], words: ['--postcopy'] };
      const clones = await cloning(at('sock'), of);
      const [row] = clones.rows();
      await goesOn('left');
      const serverPages = async (): Promise<number> =>
        Number((await here.json('clones'))[0]!['serverPages']);
      while ((await serverPages()) === 0) await pause(200);
      await ended(clones, 'SIGKILL');
      const path = String(row!['qmp']);
      const recover = ['resume', '--recover', path, '--from', at('sock')];
      const wrong = await far.run(['resume', '--recover', path]);
      expect([wrong.exitCode, wrong.stderr]).toEqual([5, expect.anything()]);
      const again = await started(far, { rows: 1 }, ...recover);
      expect(again.rows()[0]).toMatchObject({ vm: 'web', capture: 1, recovered: true });
      await again.until((each) => each.rows().length === 2);
      expect(again.rows()[1]).toMatchObject({ arrived: 'finished' });
      await goesOn('left');
      expect((await here.json('clones')).map(({ id }) => id)).toEqual([row!['id']]);
      // It is a guest as any other by now; whoever went on for it says when it has ended.
      await quitGuest(guestPaths({ folder: folder.path, name: 'left' }).qmpPath);
      expect((await again.ended).exitCode).toBe(0);
      running.splice(running.indexOf(again), 1);
      expect(await here.json('clones')).toEqual([]);
    },
    GUEST_TIMEOUT_MS,
  );

  apart('in a network of their own', () => {
    test(
      'fetch what they touch, are in the ledger while they run, and are parked and woken from there',
      async () => {
        await serving();
        const relay = await CountingRelay.open(at('relay'), at('sock'));
        const words = { count: 2, name: 'net-{n}', through: NETWORK };
        const clones = await cloning(at('relay'), words);
        await goesOn('net-1', 'net-2');
        expect(relay.bytes).toBeGreaterThan(2 ** 20);
        expect(relay.bytes).toBeLessThan(BYTES);

        const rows = clones.rows();
        // What each fetched, their host tells: a page that one of them has the other finds there.
        const fetched = async (field: string): Promise<number> =>
          (await here.json('clones')).reduce((pages, row) => pages + Number(row[field]), 0);
        while ((await fetched('hostPages')) === 0) await pause(200);
        expect(await fetched('serverPages')).toBeLessThan(relay.bytes / 4096 + 1);
        const listed = await here.json('clones');
        expect(new Set(listed.map(({ id }) => id))).toEqual(new Set(rows.map(({ id }) => id)));
        for (const row of listed)
          expect(row).toMatchObject({ vm: 'web', capture: 1, kind: 'mapped' });
        const [judged] = await here.json('forget', '--vm', 'web', '--keep-last', '1', '--dry-run');
        expect(judged).toMatchObject({ capture: 1, keep: true });

        // Its processes can be looked into from here, as it is no other host.
        const [one] = rows;
        const id = String(one!['id']);
        const [parked] = await here.json('park', id);
        expect(Number(parked!['stored'])).toBeLessThan(BYTES / 4096 / 4);
        const woken = `net-${String(one!['n'])}-woken`;
        const awake = await started(here, { rows: 1 }, 'wake', id, '--', ...wordsOf(woken));
        await goesOn(woken);
        await ended(awake, 'SIGINT');
        await ended(clones, 'SIGINT');
        expect(await here.json('clones')).toEqual([]);
        const told = await here.json('log', '--type', 'PageFetched');
        const other = rows.find((row) => row !== one)!['id'];
        const ofOther = told.filter((row) => row['clone'] === other);
        expect(ofOther.length).toBeGreaterThan(0);
        for (const row of ofOther) expect(JSON.stringify(row)).toContain('"file":"far:/');
        await relay.close();
      },
      GUEST_TIMEOUT_MS,
    );
  });

  apart('on a host of their own', () => {
    test(
      'hold their point when its server is killed, and when their host never comes back',
      async () => {
        const server = await serving();
        const words = { count: 1, name: 'lost', through: HOST };
        const clones = await cloning(at('sock'), words);
        const id = String(clones.rows()[0]!['id']);
        await goesOn('lost');
        await ended(server, 'SIGKILL');
        await here.json('forget', '--vm', 'web', '--keep-last', '1');
        await here.json('compact', '--grace', '0s');
        expect((await leasesOf('clone')).map((row) => row['id'])).toEqual([id]);

        const again = await serving();
        await goesOn('lost');
        await ended(clones, 'SIGKILL');
        await ended(again, 'SIGINT');
        // Nobody here can tell that it died.
        expect((await here.json('clones')).map((row) => row['id'])).toEqual([id]);
        const [judged] = await here.json('forget', '--vm', 'web', '--keep-last', '1', '--dry-run');
        expect(judged).toMatchObject({ capture: 1, keep: true });
        await here.json('lease', '--end', id);
        expect(await here.json('clones')).toEqual([]);
        const ends = JSON.stringify(await here.json('log', '--type', 'CloneEnded'));
        expect(ends).toContain(`"clone":"${id}","why":"ended"`);
      },
      GUEST_TIMEOUT_MS,
    );
  });

  test(
    'are recorded whole into a ledger of their host, and go on from there',
    async () => {
      await serving();
      const clones = await cloning(at('sock'), { count: 1, name: 'own', through: [] });
      const [row] = clones.rows();
      const before = await firstTicks(consoleOf('own'), LINES);
      const qmpPath = String(row!['qmp']);
      // It stands from before it is recorded until it has gone: it never runs twice.
      await stopGuest(qmpPath);
      const once = ['--vm', 'own', '--qmp', qmpPath, '--count', '1'];
      const [first] = await far.json('record', 'qemu', ...once);
      expect(Number(first!['written'])).toBeGreaterThan(BYTES / 4096 - 1);
      await quitGuest(qmpPath);
      expect((await clones.ended).exitCode).toBe(0);
      running.splice(running.indexOf(clones), 1);
      expect(await here.json('clones')).toEqual([]);

      const resumed = await started(
        far,
        { rows: 1 },
        'resume',
        '--vm',
        'own',
        '--',
        ...wordsOf('on'),
      );
      const control = await connectQmp({
        path: guestPaths({ folder: folder.path, name: 'on' }).qmpPath,
      });
      await control.execute('cont');
      control.close();
      const ticks = await firstTicks(consoleOf('on'), LINES);
      expect(tickNumber(ticks[0]!)).toBeGreaterThan(tickNumber(before[0]!));
      expect((await sameTicks(guest, ticks)).lines).toEqual(ticks);
      await quitGuest(guestPaths({ folder: folder.path, name: 'on' }).qmpPath);
      await resumed.ended;
      running.splice(running.indexOf(resumed), 1);
    },
    GUEST_TIMEOUT_MS,
  );
});
