// Guests that are started from one point over one file of its memory: each goes on where the recorded one
// was and lives on by itself, a page that none of them writes is in the host once, and the ledger knows
// who runs, who ended and who died.

import { existsSync, mkdirSync, readFileSync, rmdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { DemoGuest } from '../../../adapters/guests/demo-guest/start-guest.ts';
import { MemoryGroup } from '../../../adapters/guests/memory-group.ts';
import { parkedClonesOf, whileWaking } from '../../../adapters/wiring/clones/parking.ts';
import { openLedger } from '../../../index.ts';
import { LedgerCommands, type JsonRow, type RunningCommand } from '../../support/command-line.ts';
import { clonesOf, guestsIn, interrupted } from '../../support/guest/guests-in-folder.ts';
import {
  describeWithQemu,
  findMountTools,
  GUEST_TIMEOUT_MS,
} from '../../support/guest/real-guest.ts';
import {
  dumpedMemory,
  firstTicks,
  quitGuest,
  restGuest,
  sameTicks,
  stopGuest,
  tickingGuest,
  tickNumber,
  ticksOf,
} from '../../support/guest/watched-guest.ts';
import { IS_LONG } from '../../support/long-run.ts';
import { accountedMib } from '../../support/processes/process-memory.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';
import { testLong } from '../../support/test-long.ts';

const GUEST = { seed: 11, memoryMib: 128 };
const PAGES = (GUEST.memoryMib * 2 ** 20) / 4096;
const LINES = 3;
const COUNT = 3;

/** Where the kernel accounts for the memory of each clone. */
const group = MemoryGroup.make(`pageledger-try-${process.pid}`);
group?.remove();
/** In the long run; the usual one has clones that are held to a limit in clone-fetches.test.ts. */
const limited = IS_LONG && group !== null ? describe : describe.skip;

describeWithQemu('clones over one base', await findMountTools(), (tools) => {
  let folder: TemporaryFolder;
  let commands: LedgerCommands;
  let guest: DemoGuest;
  let running: RunningCommand | null = null;
  const { at, environment, wordsOf, consoleOf, run, qmpOf } = guestsIn(() => folder.path, {
    tools,
    ...GUEST,
  });

  /** Starts clones, and waits until all of them run; their rows by number. */
  async function cloned(name: string, count: number, ...options: string[]): Promise<JsonRow[]> {
    const words = ['clone', '--vm', 'web', '--count', `${count}`, ...options];
    running = commands.start(['--json', ...words, '--', ...wordsOf(`${name}-{n}`)], {
      environment: environment(),
    });
    return clonesOf(running, count);
  }
  const ended = async (): Promise<JsonRow> => {
    const { stdout } = await interrupted(running!);
    running = null;
    return JSON.parse(stdout.toString().trimEnd().split('\n').at(-1)!) as JsonRow;
  };

  /** Wakes a parked clone, for as long as it takes to see that it goes on. */
  async function isAwake(id: string, name: string): Promise<void> {
    running = commands.start(['--json', 'wake', id, '--', ...wordsOf(`${name}-on`)], {
      environment: environment(),
    });
    await firstTicks(consoleOf(`${name}-on`), LINES);
    await ended();
  }

  /** Lets a clone stand, and records it: the point is its memory to the last byte. */
  async function isRecordedAsItStands(vm: string, qmpPath: string): Promise<void> {
    await stopGuest(qmpPath);
    const once = ['--vm', vm, '--qmp', qmpPath, '--count', '1'];
    const [still] = await commands.json('record', 'qemu', ...once);
    expect(still).toMatchObject({ mode: 'clone', pauseMs: 0 });
    const memoryBytes = GUEST.memoryMib * 2 ** 20;
    const dumped = await dumpedMemory({ qmpPath, memoryBytes, scratch: at('dump') });
    const raw = at(`${vm}.raw`);
    await run(commands, 'restore', '--vm', vm, '--layout', 'packed', '--to', raw);
    // Between them the firmware lies where the processor sees it.
    const own = readFileSync(raw);
    for (const [from, to] of [
      [0, 0xc0000],
      [0x100000, memoryBytes],
    ])
      expect(own.subarray(from, to).equals(dumped.subarray(from, to))).toBe(true);
  }

  /** Nobody wakes a clone that somebody else is just waking: two would be one guest that runs twice. */
  async function isWokenByOne(id: string, vm: string, words: readonly string[]): Promise<void> {
    const ledger = await openLedger({ url: at('ledger'), mode: 'use' });
    const parked = parkedClonesOf(ledger, ledger.vms()).find(({ as }) => as === vm);
    await whileWaking(ledger, parked!, async () => {
      const { exitCode, stderr } = await commands.run(['wake', id, '--', ...words], {
        environment: environment(),
      });
      expect([exitCode, stderr]).toEqual([4, expect.stringContaining('VM_BUSY')]);
    });
    await ledger.close();
  }

  beforeAll(async () => {
    folder = await makeTemporaryFolder();
    commands = new LedgerCommands(at('ledger'));
    guest = await tickingGuest({ tools, folder: folder.path, ...GUEST });
    const every = ['--count', '2', '--every', '1s'];
    await commands.json('record', 'qemu', '--vm', 'web', '--qmp', guest.qmpPath, ...every);
    await restGuest(guest);
  }, GUEST_TIMEOUT_MS);
  afterEach(async () => {
    if (running === null) return;
    running.signal('SIGINT');
    await running.ended;
    running = null;
  }, GUEST_TIMEOUT_MS);
  afterAll(async () => {
    await guest.kill();
    await folder.remove();
  }, GUEST_TIMEOUT_MS);

  test(
    'each goes on from the point, has what it wrote of its own, and holds the point while it runs',
    async () => {
      const rows = await cloned('one', COUNT, '--at', '@1');
      const ticks = await Promise.all(
        rows.map(({ n }) => firstTicks(consoleOf(`one-${String(n)}`), LINES)),
      );
      for (const lines of ticks) expect(lines).toEqual(ticks[0]);
      expect((await sameTicks(guest, ticks[0]!)).lines).toEqual(ticks[0]);

      const listed = await commands.json('clones');
      expect(new Set(listed.map(({ process: pid }) => pid))).toEqual(
        new Set(rows.map(({ pid }) => pid)),
      );
      for (const row of listed) {
        expect(row).toMatchObject({ vm: 'web', capture: 1, kind: 'mapped', block: 'pc.ram' });
        expect(Number(row['privatePages'])).toBeGreaterThan(0);
        expect(Number(row['privatePages'])).toBeLessThan(PAGES / 2);
      }
      // Recorded as a VM of its own it names where it began, and has its master's pages.
      const socket = String(rows[0]!['qmp']);
      const recorded = ['record', 'qemu', '--vm', 'web-1', '--qmp', socket, '--count', '1'];
      const [first] = await commands.json(...recorded);
      expect(Number(first!['stored'])).toBeLessThan(Number(first!['merged']));
      const registered = JSON.stringify(await commands.json('log', '--type', 'VmRegistered'));
      expect(registered).toContain('"parent":{"vm":"web","capture":1}');
      await isRecordedAsItStands('web-1', socket);

      const rule = ['--keep-last', '1', '--dry-run'];
      const [judged] = await commands.json('forget', '--vm', 'web', ...rule);
      expect(judged).toMatchObject({ capture: 1, keep: true });

      expect(await ended()).toMatchObject({ summary: 'clone', clones: COUNT });
      expect(await commands.json('clones')).toEqual([]);
      expect(await commands.json('leases')).toEqual([]);
      const ends = await commands.json('log', '--type', 'CloneEnded');
      expect(ends).toHaveLength(COUNT);
      const [published] = await commands.json('log', '--type', 'MasterPublished');
      const base = dirname(JSON.stringify(published).match(/"to":"([^"]+)"/u)![1]!);
      expect(existsSync(base)).toBe(false);
    },
    GUEST_TIMEOUT_MS,
  );

  testLong(
    'is recorded by what it wrote alone, and that is its memory to the last byte',
    async () => {
      const [row] = await cloned('own', 1, '--at', '@1');
      const socket = String(row!['qmp']);
      const first = await firstTicks(consoleOf('own-1'), LINES);
      const record = ['record', 'qemu', '--vm', 'own', '--qmp', socket, '--count'];
      const [running1, running2] = await commands.json(...record, '2', '--every', '1s');
      for (const each of [running1!, running2!]) expect(each['mode']).toBe('clone');
      expect(Number(running1!['stored'])).toBeLessThan(PAGES / 8);
      expect(Number(running2!['written'])).toBeLessThan(PAGES / 8);

      await isRecordedAsItStands('own', socket);
      // QEMU migrates it, with all its blocks: there is nothing in that which the ledger does not have.
      const [whole] = await commands.json(...record, '1', '--at-capture', 'true');
      expect(whole).toMatchObject({ mode: 'migrate', written: 0 });
      await ended();

      const words = ['resume', '--vm', 'own', '--at', '@2', '--', ...wordsOf('resumed')];
      running = commands.start(['--json', ...words], { environment: environment() });
      const ticks = await firstTicks(consoleOf('resumed'), LINES);
      expect(tickNumber(ticks[0]!)).toBeGreaterThan(tickNumber(first[0]!));
      expect((await sameTicks(guest, ticks)).lines).toEqual(ticks);
      await quitGuest(qmpOf('resumed'));
      await running.ended;
      running = null;
    },
    GUEST_TIMEOUT_MS,
  );

  testLong(
    'a later point over the same base is sent what differs, and goes on where it was',
    async () => {
      mkdirSync(at('m'));
      await run(commands, 'mount', '--vm', 'web', '--at', '@1', '--block', 'pc.ram', at('m'));
      try {
        const before = readFileSync(at('m/memory'));
        const [row] = await cloned('later', 1, '--at', '@2', '--over', at('m'));
        expect(Number(row!['sentPages'])).toBeGreaterThan(0);
        expect(Number(row!['sentPages'])).toBeLessThan(PAGES / 2);
        const ticks = await firstTicks(consoleOf('later-1'), LINES);
        expect((await sameTicks(guest, ticks)).lines).toEqual(ticks);
        await ended();
        expect(readFileSync(at('m/memory')).equals(before)).toBe(true);
      } finally {
        await run(commands, 'unmount', at('m'));
      }
    },
    GUEST_TIMEOUT_MS,
  );

  test(
    'one that is parked goes on where it stood, as often as it is woken',
    async () => {
      const names = IS_LONG ? ['nap-1', 'nap-2', 'nap-3'] : ['nap-1', 'nap-2'];
      let [row] = await cloned('nap', 1, '--at', '@1');
      const first = String(row!['id']);
      const parked: JsonRow[] = [];
      for (const [i, name] of names.entries()) {
        await firstTicks(consoleOf(name), LINES);
        const id = String(row!['id']);
        parked.push((await commands.json('park', id))[0]!);
        expect((await running!.ended).exitCode).toBe(0);
        const [listed, ...more] = await commands.json('clones');
        expect(listed).toMatchObject({ id, kind: 'parked', process: null, asCapture: i + 1 });
        expect(more).toEqual([]);
        expect(await commands.json('leases')).toEqual([]);
        if (i === names.length - 1) break;
        if (i === 0) await isWokenByOne(id, String(parked[0]!['vm']), wordsOf('nap-other'));
        running = commands.start(['--json', 'wake', id, '--', ...wordsOf(names[i + 1]!)], {
          environment: environment(),
        });
        await running.until((command) => command.rows().length === 1);
        [row] = running.rows();
        expect((await commands.json('clones')).map(({ kind }) => kind)).toEqual(['woken']);
      }
      running = null;
      expect(new Set(parked.map(({ vm }) => vm))).toEqual(new Set([`web-${first.slice(0, 8)}`]));
      for (const { stored } of parked) expect(Number(stored)).toBeLessThan(PAGES / 8);
      // A line may have been cut where it was parked.
      const text = names.map((name) => readFileSync(consoleOf(name), 'latin1')).join('');
      const ticks = ticksOf(text.split(/\r?\n/u).slice(0, -1));
      expect(ticks.length).toBeGreaterThan(names.length * (LINES - 1));
      expect((await sameTicks(guest, ticks)).lines).toEqual(ticks);

      // It is no more once its capture is given up.
      await commands.run(['drop', '--vm', String(parked[0]!['vm'])]);
      expect(await commands.json('clones')).toEqual([]);
      const { exitCode, stderr } = await commands.run(['park', first]);
      expect([exitCode, stderr]).toEqual([5, expect.stringContaining('runs on this host')]);
    },
    GUEST_TIMEOUT_MS,
  );

  testLong(
    'clones outlive the command that was killed, and who died is found by whoever lists',
    async () => {
      const rows = await cloned('left', 2, '--at', '@2');
      running!.signal('SIGKILL');
      await running!.ended;
      running = null;
      await firstTicks(consoleOf('left-1'), LINES);
      expect(await commands.json('clones')).toHaveLength(2);
      process.kill(Number(rows[0]!['pid']), 'SIGKILL');
      const left = await commands.json('clones');
      expect(left.map(({ process: pid }) => pid)).toEqual([rows[1]!['pid']]);
      const listed = JSON.stringify(await commands.json('log', '--type', 'CloneEnded'));
      expect(listed).toContain('"why":"died"');
      process.kill(Number(rows[1]!['pid']), 'SIGKILL');
      expect(await commands.json('clones')).toEqual([]);
      const published = JSON.stringify(await commands.json('log', '--type', 'MasterPublished'));
      const base = dirname([...published.matchAll(/"to":"([^"]+)"/gu)].at(-1)![1]!);
      await run(commands, 'unmount', base);
      rmdirSync(base);
    },
    GUEST_TIMEOUT_MS,
  );

  limited('clones held to a limit', () => {
    test(
      'drop what they can read again and nothing else, and go on as they would have',
      async () => {
        const rows = await cloned('held', 2, '--at', '@1', '--memory', '8');
        const ticks = await Promise.all(
          rows.map(({ n }) => firstTicks(consoleOf(`held-${String(n)}`), 2 * LINES)),
        );
        expect(ticks[1]).toEqual(ticks[0]);
        expect((await sameTicks(guest, ticks[0]!)).lines).toEqual(ticks[0]);
        expect(running!.stderr).toContain('of the 8 MiB that they may take too little is free');
        const dropped = async (): Promise<number[]> =>
          (await commands.json('clones')).map((row) => Number(row['droppedPages']));
        while ((await dropped()).every((pages) => pages === 0));
        // What it dropped it reads again as it was, and what it wrote is there still.
        await isRecordedAsItStands('held', String(rows[0]!['qmp']));
        const { droppedPages } = await ended();
        expect(Number(droppedPages)).toBeGreaterThan(0);
        expect((await commands.json('log', '--type', 'PageEvicted')).length).toBeGreaterThan(0);
      },
      GUEST_TIMEOUT_MS,
    );
  });

  limited('clones that wrote more than they may take', () => {
    test(
      'are parked, all but one, which is within the limit then, and go on where they stood',
      async () => {
        const limitMib = 60;
        const limit = ['--memory', `${limitMib}`, '--park'];
        const rows = await cloned('wrote', 3, '--at', '@1', ...limit);
        await running!.until((command) => command.rows().length === rows.length + 2);
        const parked = running!.rows().filter((row) => row['parked'] === true);
        expect(new Set(parked.map(({ id }) => id)).size).toBe(2);
        const listed = await commands.json('clones');
        expect(listed.filter(({ kind }) => kind === 'parked')).toHaveLength(2);
        const [left, ...more] = listed.filter(({ kind }) => kind === 'mapped');
        expect(more).toEqual([]);
        while (accountedMib(left!['process']) > limitMib) await pause(200);
        const { writtenOutPages } = await ended();
        expect(Number(writtenOutPages)).toBeGreaterThan(0);
        const asParked = listed.filter(({ kind }) => kind === 'parked');
        const written = asParked.reduce((sum, row) => sum + Number(row['privatePages']), 0);
        expect(writtenOutPages).toBe(written);

        for (const { id } of parked) {
          const { n } = rows.find((row) => row['id'] === id)!;
          const name = `wrote-${String(n)}`;
          await isAwake(String(id), name);
          const text = ['', '-on'].map((end) => readFileSync(consoleOf(`${name}${end}`), 'latin1'));
          const ticks = ticksOf(text.join('').split(/\r?\n/u).slice(0, -1));
          expect((await sameTicks(guest, ticks)).lines).toEqual(ticks);
        }
      },
      GUEST_TIMEOUT_MS,
    );
  });

  test(
    'a command that says where memory lies, or that clones cannot share, is refused',
    async () => {
      const refused = async (...words: string[]): Promise<string> => {
        const { exitCode, stderr } = await commands.run(['clone', '--vm', 'web', ...words], {
          environment: environment(),
        });
        expect(exitCode).not.toBe(0);
        return stderr;
      };
      expect(await refused('--count', '2', '--', ...wordsOf('same'))).toContain('say {n} in it');
      expect(await refused()).toContain('a command line was expected after --');
      expect(
        await refused('--', ...wordsOf('own'), '-machine', 'pc,memory-backend=pc.ram'),
      ).toContain('leave that out');
      expect(await refused('--over', at('nowhere'), '--', ...wordsOf('none'))).toContain(
        'pageledger mount --vm web --block pc.ram',
      );
      expect(await commands.json('clones')).toEqual([]);
    },
    GUEST_TIMEOUT_MS,
  );
});
