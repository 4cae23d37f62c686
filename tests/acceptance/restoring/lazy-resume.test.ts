// A guest taken back to an earlier moment that runs before its memory is there: its console goes on with
// the lines that the first guest printed, its memory is that of the capture, and who gives it that may
// be interrupted, killed, or be without the right to.

import { chmodSync, cpSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, jest, test } from '@jest/globals';
import { guestCommand, guestPaths } from '../../../adapters/guests/demo-guest/start-guest.ts';
import * as taskEither from 'fp-ts/lib/TaskEither.js';
import { openLedger } from '../../../adapters/wiring/opening/open-ledger.ts';
import { resumeLazily } from '../../../adapters/wiring/restore/resume.ts';
import { connectQmp } from '../../../adapters/guests/qemu/qmp-client.ts';
import { FILL_PAGES_MAX as FIRST_PAGES_MAX } from '../../../domain/use-cases/serve/page-queue.ts';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { pagesIn, type PageRanges } from '../../../domain/values/page-ranges.ts';
import {
  LedgerCommands,
  jsonRows,
  type JsonRow,
  type RunningCommand,
  type RunOptions,
} from '../../support/command-line.ts';
import { interrupted } from '../../support/guest/guests-in-folder.ts';
import { pagesThatDiffer } from '../../support/guest/images.ts';
import { describeWithQemu, findTools, GUEST_TIMEOUT_MS } from '../../support/guest/real-guest.ts';
import {
  dumpedMemory,
  firstTicks,
  migrationOf,
  restGuest,
  sameTicks,
  stopGuest,
  tickingGuest,
  writtenSince,
} from '../../support/guest/watched-guest.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';
import { testLong } from '../../support/test-long.ts';
import { IS_LONG } from '../../support/long-run.ts';

const found = await findTools();
const GUEST = { seed: 7, memoryMib: 128 };
const MEMORY_BYTES = GUEST.memoryMib * 1024 * 1024;
const AT = ['--vm', 'guest', '--at', '@2'];
/** Lines of the second console that are compared. */
const LINES = 4;
/** As many as the long run has take half a minute. */
const KILLS = IS_LONG ? 20 : 1;
const ON_DEMAND = ['--on-demand-only'];
/** Somebody who may not catch a guest's accesses to memory. */
const NOBODY = 65_534;

describeWithQemu('a guest resumed lazily', found, (tools) => {
  let folder: TemporaryFolder;
  let url: string;
  let commands: LedgerCommands;
  let guest: Awaited<ReturnType<typeof tickingGuest>>;
  let memory: Buffer;
  const running: RunningCommand[] = [];
  const guests: number[] = [];

  beforeAll(async () => {
    folder = await makeTemporaryFolder();
    url = join(folder.path, 'ledger');
    commands = new LedgerCommands(url);
    guest = await tickingGuest({ tools, folder: folder.path, ...GUEST });
    const words = ['--qmp', guest.qmpPath, '--every', '700ms', '--count', '3'];
    await commands.json('record', 'qemu', '--vm', 'guest', ...words);
    const to = join(folder.path, 'memory.raw');
    await commands.json('restore', ...AT, '--to', to);
    memory = readFileSync(to);
  }, GUEST_TIMEOUT_MS);
  afterEach(async () => {
    for (const pid of guests.splice(0)) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has ended by itself.
      }
    }
    for (const command of running.splice(0)) {
      command.signal('SIGKILL');
      await command.ended;
    }
  });
  afterAll(async () => {
    await guest.kill();
    await folder.remove();
  });

  /** Resumes as a guest of this name, and waits until it runs, or stands as it was asked to. */
  async function resume(
    name: string,
    {
      words = [],
      extra = [],
      from = commands,
      kernel = tools.kernel,
      at = AT,
      ...options
    }: {
      readonly kernel?: string;
      readonly at?: readonly string[];
      readonly words?: readonly string[];
      readonly extra?: readonly string[];
      readonly from?: LedgerCommands;
    } & RunOptions = {},
  ) {
    const theirs = { ...tools, kernel };
    const second = { tools: theirs, folder: folder.path, ...GUEST, name, extra };
    const line = ['--json', 'resume', ...at, ...words, '--', ...guestCommand(second)];
    const command = from.start(line, options);
    running.push(command);
    await command.until(({ stdout }) => stdout.includes('\n'));
    const row = command.rows()[0]!;
    guests.push(Number(row['pid']));
    return { ...guestPaths(second), row, command, socket: String(row['qmp']) };
  }

  function recover(
    socket: string,
    {
      words = [],
      from = commands,
    }: { readonly words?: readonly string[]; readonly from?: LedgerCommands } = {},
  ): RunningCommand {
    const command = from.start(['--json', 'resume', '--recover', socket, ...words]);
    running.push(command);
    return command;
  }

  /** Has all that is left given to a guest; what was given it then. */
  const summaryOf = async ({ command }: { readonly command: RunningCommand }): Promise<JsonRow> =>
    jsonRows((await interrupted(command)).stdout)[1]!;

  /** What the first console printed from the first of these lines on. */
  const originalOf = async (lines: readonly string[]): Promise<readonly string[]> =>
    (await sameTicks(guest, lines)).lines;

  /** Pages in which a guest that stands differs from the capture. */
  const differing = async (qmpPath: string): Promise<readonly number[]> =>
    pagesThatDiffer(
      await dumpedMemory({
        qmpPath,
        memoryBytes: MEMORY_BYTES,
        scratch: join(folder.path, 'dump'),
      }),
      memory,
    );

  test(
    'goes on with the lines that the first printed, and runs on when all memory is there',
    async () => {
      const { serialPath, qmpPath, row, command, socket } = await resume('second');
      expect(row).toMatchObject({ vm: 'guest', capture: 2, state: 'running', lazy: true });
      const { exitCode } = await command.ended;
      expect(exitCode).toBe(0);
      const arrived = command.rows()[1]!;
      expect(arrived).toMatchObject({ vm: 'guest', capture: 2, arrived: 'finished' });
      expect(Number(arrived['requests'])).toBeGreaterThan(0);
      const lines = await firstTicks(serialPath, LINES);
      expect(await originalOf(lines)).toEqual(lines);
      expect(await migrationOf(qmpPath)).toBe('completed');
      // Nothing of ours is left beside it.
      expect(() => readdirSync(dirname(socket))).toThrow('ENOENT');
      await stopGuest(qmpPath);
      const changed = await differing(qmpPath);
      const wrote = await writtenSince(commands, { guest, at: '@2' });
      await restGuest(guest);
      expect(changed.length).toBeGreaterThan(0);
      expect(changed.length).toBeLessThan(MEMORY_BYTES / 4096 / 16);
      // What else differs it took otherwise than the first did, whose clock went on.
      expect(changed.filter((page) => !wrote.has(page)).length).toBeLessThan(changed.length / 3);
    },
    GUEST_TIMEOUT_MS,
  );

  testLong(
    'has the memory of the capture, page for page, when it was pushed while it stood',
    async () => {
      const { qmpPath, row, command } = await resume('stopped', { extra: ['-S'] });
      expect(row).toMatchObject({ state: 'paused', lazy: true });
      await command.ended;
      expect(await differing(qmpPath)).toEqual([]);
    },
    GUEST_TIMEOUT_MS,
  );

  test(
    'is given what is asked for alone where that is said, and all of it after Ctrl-C',
    async () => {
      const { qmpPath, command } = await resume('asked', { words: ON_DEMAND, extra: ['-S'] });
      const qmp = await connectQmp({ path: qmpPath });
      const scratch = join(folder.path, 'part');
      await qmp.execute('pmemsave', { val: 0, size: 1024 * 1024, filename: scratch });
      qmp.close();
      expect(readFileSync(scratch).equals(memory.subarray(0, 1024 * 1024))).toBe(true);
      expect(await migrationOf(qmpPath)).toBe('postcopy-active');
      const { stderr } = await interrupted(command);
      expect(stderr).toContain('giving the guest the');
      expect(Number(command.rows()[1]!['pushed'])).toBeGreaterThan(0);
      expect(await differing(qmpPath)).toEqual([]);
    },
    GUEST_TIMEOUT_MS,
  );

  testLong(
    'is left standing by a second Ctrl-C, with the line that goes on with it',
    async () => {
      const { qmpPath, command, socket } = await resume('left', { words: ON_DEMAND });
      command.signal('SIGSTOP');
      command.signal('SIGINT');
      command.signal('SIGTERM');
      command.signal('SIGCONT');
      const { exitCode, stderr } = await command.ended;
      expect([130, 143]).toContain(exitCode);
      expect(stderr).toContain(`--ledger ${url} resume --recover ${socket}`);
      expect(await migrationOf(qmpPath)).toMatch(/^postcopy-/u);
      const again = recover(socket);
      expect((await again.ended).exitCode).toBe(0);
      expect(await migrationOf(qmpPath)).toBe('completed');
    },
    GUEST_TIMEOUT_MS,
  );

  test(
    `goes on where it was when its giver of memory is killed, ${KILLS} times`,
    async () => {
      const first = await resume('killed', { words: ON_DEMAND });
      let { command } = first;
      for (let kill = 0; kill < KILLS; kill += 1) {
        await new Promise((resolve) => {
          setTimeout(resolve, 17 * kill);
        });
        command.signal('SIGKILL');
        await command.ended;
        const isLast = kill === KILLS - 1;
        command = recover(first.socket, { words: isLast ? [] : ON_DEMAND });
        await command.until(({ stdout }) => stdout.includes('\n'));
        expect(command.rows()[0]).toMatchObject({ vm: 'guest', capture: 2, recovered: true });
      }
      expect((await command.ended).exitCode).toBe(0);
      const lines = await firstTicks(first.serialPath, LINES);
      expect(await originalOf(lines)).toEqual(lines);
    },
    GUEST_TIMEOUT_MS,
  );

  testLong(
    'keeps its point when its giver of memory is killed, until it has its memory',
    async () => {
      const copy = join(folder.path, 'kept');
      cpSync(url, copy, { recursive: true });
      const from = new LedgerCommands(copy);
      const { serialPath, row, command, socket } = await resume('kept', { words: ON_DEMAND, from });
      command.signal('SIGKILL');
      await command.ended;
      const [forgotten] = await from.json('forget', '--keep-last', '1');
      expect(forgotten).toMatchObject({ capture: 1, keep: false });
      await from.json('compact', '--grace', '0s');
      const [lease] = await from.json('leases');
      expect(lease).toMatchObject({ capture: 2, kind: 'resume', process: row['pid'] });
      // Who goes on takes the lease over, also when he is killed in his turn.
      const second = recover(socket, { from, words: ON_DEMAND });
      await second.until(({ stdout }) => stdout.includes('\n'));
      second.signal('SIGKILL');
      await second.ended;
      expect(await from.json('leases')).toEqual([lease]);
      // Where somebody ended it the point is held anew.
      await from.json('lease', '--end', String(lease!['id']));
      const third = recover(socket, { from, words: ON_DEMAND });
      await third.until(({ stdout }) => stdout.includes('\n'));
      expect(await from.json('leases')).toMatchObject([{ capture: 2, process: row['pid'] }]);
      const lines = await firstTicks(serialPath, LINES);
      expect(await originalOf(lines)).toEqual(lines);
      await interrupted(third);
      expect(await from.json('leases')).toEqual([]);
    },
    GUEST_TIMEOUT_MS,
  );

  testLong(
    'waits for packs that are away, and goes on when they are there again',
    async () => {
      const ledger = await openLedger({ url, mode: 'read' });
      const entry = ledger.vm('guest');
      const { store } = ledger;
      // Packs are asked of it alone.
      Object.assign(store, { fileOf: undefined });
      const told: string[] = [];
      const waiting = {
        onAway: ({ code }: LedgerError) => told.push(code),
        onBack: () => told.push('back'),
      };
      const watched = { tools, folder: folder.path, ...GUEST, name: 'waiting' };
      const resumed = await resumeLazily(
        ledger,
        { entry, row: ledger.resolve(entry, '@2') },
        { command: guestCommand(watched), isDiskOk: false, isOnDemandOnly: true, waiting },
      );
      if (resumed._tag !== 'arriving') throw new TypeError(resumed.reason);
      guests.push(resumed.process.pid!);
      const away = new LedgerError('STORE_UNREACHABLE', 'it is away', {});
      const get = jest.spyOn(store, 'get').mockReturnValue(taskEither.left(away));
      resumed.push();
      while (told.length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
      get.mockRestore();
      expect(await resumed.arrived).toBe('finished');
      expect(told).toEqual(['STORE_UNREACHABLE', 'back']);
      const lines = await firstTicks(guestPaths(watched).serialPath, LINES);
      expect(await originalOf(lines)).toEqual(lines);
      await ledger.close();
    },
    GUEST_TIMEOUT_MS,
  );

  test(
    'has recorded what it asked for, and has that prefetched the next time',
    async () => {
      const at = ['--vm', 'guest', '--at', '@3'];
      const first = await resume('traced', { words: ON_DEMAND, at });
      const lines = await firstTicks(first.serialPath, 2);
      expect(await originalOf(lines)).toEqual(lines);
      expect(await commands.json('leases')).toHaveLength(1);
      await summaryOf(first);
      expect(await commands.json('leases')).toEqual([]);
      const requested = () => commands.json('log', '--type', 'PageRequested');
      expect((await requested()).at(-1)).toMatchObject({ vm: 'guest', capture: 3 });
      const second = await resume('prefetched', { words: ON_DEMAND, at });
      expect(await firstTicks(second.serialPath, 2)).toEqual(lines);
      expect(Number((await summaryOf(second))['prefetched'])).toBeGreaterThan(FIRST_PAGES_MAX);
      // One that is given single pages asks for all that it uses, and the next one has that and no more.
      const single = await resume('single', { words: ['--trace', '--interval', '10m'], at });
      expect(await firstTicks(single.serialPath, 2)).toEqual(lines);
      await summaryOf(single);
      const told = await resume('told', { words: ON_DEMAND, at });
      expect(await firstTicks(told.serialPath, 2)).toEqual(lines);
      const { prefetched } = await summaryOf(told);
      const rows = (await requested()).filter(({ capture }) => capture === 3);
      const tracedPages = pagesIn(rows.flatMap(({ pages }) => pages as PageRanges));
      expect(Number(prefetched)).toBeGreaterThan(0.8 * tracedPages);
      expect(Number(prefetched)).toBeLessThanOrEqual(tracedPages + FIRST_PAGES_MAX);
      // A ledger that is only read is resumed from all the same.
      const before = await commands.json('log');
      const ledger = await openLedger({ url, mode: 'read' });
      const entry = ledger.vm('guest');
      const third = { tools, folder: folder.path, ...GUEST, name: 'read' };
      const resumed = await resumeLazily(
        ledger,
        { entry, row: ledger.resolve(entry, '@1') },
        { command: guestCommand(third), isDiskOk: false, isOnDemandOnly: false },
      );
      guests.push(resumed.process.pid!);
      expect(resumed._tag === 'arriving' ? await resumed.arrived : null).toBe('finished');
      await ledger.close();
      expect(await commands.json('log')).toEqual(before);
    },
    GUEST_TIMEOUT_MS,
  );

  test(
    'is given all its memory before it is recorded, and not recorded where nobody gives it',
    async () => {
      const { qmpPath, command } = await resume('recorded', { words: ON_DEMAND });
      const line = ['record', 'qemu', '--vm', 'again', '--qmp', qmpPath, '--every', '1s'];
      const rows = await commands.json(...line, '--count', '1');
      expect(rows[0]).toMatchObject({ vm: 'again', capture: 1 });
      const { exitCode } = await command.ended;
      expect([exitCode, command.rows()[1]!['arrived']]).toEqual([0, 'finished']);
      const left = await resume('orphan', { words: ON_DEMAND, extra: ['-S'] });
      left.command.signal('SIGKILL');
      await left.command.ended;
      const orphan = ['record', 'qemu', '--vm', 'orphan', '--qmp', left.qmpPath, '--every', '1s'];
      const refused = await commands.start(orphan).ended;
      expect([refused.exitCode, refused.stderr]).toEqual([
        4,
        expect.stringContaining('GUEST_ARRIVING'),
      ]);
      // And it was not touched.
      expect((await recover(left.socket).ended).exitCode).toBe(0);
      expect(await differing(left.qmpPath)).toEqual([]);
    },
    GUEST_TIMEOUT_MS,
  );

  testLong(
    'is gone on with by one process at a time, and from its own ledger',
    async () => {
      const { command, socket } = await resume('held', { words: ON_DEMAND });
      const second = await recover(socket).ended;
      expect([second.exitCode, second.stderr]).toEqual([
        4,
        expect.stringContaining('GUEST_ARRIVING'),
      ]);
      const elsewhere = new LedgerCommands(join(folder.path, 'other'));
      await elsewhere.json('record', 'image', '--vm', 'guest', join(folder.path, 'memory.raw'));
      await elsewhere.json('record', 'image', '--vm', 'guest', join(folder.path, 'memory.raw'));
      const other = await elsewhere.start(['resume', '--recover', socket]).ended;
      expect([other.exitCode, other.stderr]).toEqual([
        5,
        expect.stringContaining('of another ledger'),
      ]);
      const none = await commands.start(['resume', '--recover', join(folder.path, 'none')]).ended;
      expect([none.exitCode, none.stderr]).toEqual([5, expect.stringContaining('NOT_FOUND')]);
      command.signal('SIGTERM');
      expect((await command.ended).exitCode).toBe(0);
    },
    GUEST_TIMEOUT_MS,
  );

  testLong(
    'has all its memory before it runs where QEMU may not catch its accesses, and that is said',
    async () => {
      if (process.getuid?.() !== 0) return;
      // What somebody else can read: no folder above it is one's own.
      chmodSync(folder.path, 0o777);
      const copy = join(folder.path, 'copy');
      cpSync(url, copy, { recursive: true });
      rmSync(join(copy, 'keys'), { recursive: true });
      for (const name of ['', ...readdirSync(copy, { recursive: true, encoding: 'utf8' })])
        chmodSync(join(copy, name), 0o777);
      const user = [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'];
      // What the first one boots lies where only root may read.
      const kernel = join(copy, 'vmlinuz');
      cpSync(tools.kernel, kernel);
      chmodSync(kernel, 0o644);
      const { row, command, serialPath } = await resume('nobody', {
        kernel,
        from: new LedgerCommands(copy),
        through: ['setpriv', ...user],
        environment: { HOME: folder.path },
      });
      expect(row).toMatchObject({ state: 'running', lazy: false });
      const lines = await firstTicks(serialPath, LINES);
      expect(await originalOf(lines)).toEqual(lines);
      expect(command.stderr).toContain('all memory was sent before the guest ran');
      command.signal('SIGTERM');
      expect((await command.ended).exitCode).toBe(0);
    },
    GUEST_TIMEOUT_MS,
  );
});
