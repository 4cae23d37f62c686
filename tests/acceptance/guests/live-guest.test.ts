// A real guest, recorded while it runs and taken back to an earlier moment:
// the second guest's console goes on with the very lines that the first printed after that moment,
// and its memory differs in no page.

import { cpSync, existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import {
  guestCommand,
  guestPaths,
  type DemoGuest,
} from '../../../adapters/guests/demo-guest/start-guest.ts';
import {
  asRecorded,
  LedgerCommands,
  type JsonRow,
  type Outcome,
  type RunningCommand,
} from '../../support/command-line.ts';
import { pagesThatDiffer } from '../../support/guest/images.ts';
import { describeWithQemu, findTools, GUEST_TIMEOUT_MS } from '../../support/guest/real-guest.ts';
import {
  dumpedMemory,
  firstTicks,
  restGuest,
  sameTicks,
  TICK_LINE,
  tickingGuest,
  ticksOf,
  wakeGuest,
} from '../../support/guest/watched-guest.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';
import { testLong } from '../../support/test-long.ts';

const found = await findTools();
const GUEST = { seed: 5, memoryMib: 128 };
const CAPTURES = 5;
const BACK_TO = 3;
/** Lines of the second console that are compared. */
const LINES = 4;

describeWithQemu('a guest recorded while it runs', found, (tools) => {
  let folder: TemporaryFolder;
  let url: string;
  let commands: LedgerCommands;
  let guest: DemoGuest;
  let outcome: Outcome;
  let recorded: JsonRow[];
  let captures: JsonRow[];
  /** Ticks that the first console had shown when each capture was reported. */
  const shownAt: number[] = [];
  const running: RunningCommand[] = [];

  beforeAll(async () => {
    folder = await makeTemporaryFolder();
    url = join(folder.path, 'ledger');
    commands = new LedgerCommands(url);
    guest = await tickingGuest({ tools, folder: folder.path, ...GUEST });
    const words = ['--qmp', guest.qmpPath, '--every', '1s', '--count', String(CAPTURES)];
    const recorder = commands.start(['--json', 'record', 'qemu', '--vm', 'guest', ...words]);
    for (let capture = 1; capture <= CAPTURES; capture += 1) {
      await recorder.until((command) => command.rows().length >= capture);
      shownAt.push(ticksOf(guest.lines()).length);
    }
    outcome = await recorder.ended;
    recorded = recorder.rows();
    captures = await commands.json('captures', '--vm', 'guest');
    await restGuest(guest);
  }, GUEST_TIMEOUT_MS);
  afterEach(async () => {
    for (const command of running.splice(0)) {
      command.signal('SIGTERM');
      await command.ended;
    }
  });
  afterAll(async () => {
    await guest.kill();
    await folder.remove();
  });

  const capturesOf = async (vm: string): Promise<JsonRow[]> =>
    asRecorded(await commands.json('captures', '--vm', vm));

  /** Resumes from capture 3 as a guest of this name; gives its console and control socket. */
  async function resume(
    from: LedgerCommands,
    named: { readonly name: string; readonly extra?: readonly string[] },
  ) {
    const second = { tools, folder: folder.path, ...GUEST, ...named };
    const words = ['resume', '--vm', 'guest', '--at', `@${BACK_TO}`, '--eager', '--'];
    const command = from.start(['--json', ...words, ...guestCommand(second)]);
    running.push(command);
    await command.until(({ stdout }) => stdout.includes('\n'));
    return { ...guestPaths(second), row: command.rows()[0]! };
  }

  /** What the first console printed from the first of these lines on, and where that stands. */
  async function originalOf(lines: readonly string[]) {
    const { lines: original, from } = await sameTicks(guest, lines);
    // The capture lies between the report of the one before it and its own.
    const isAfterCapture = from >= shownAt[BACK_TO - 2]! && from <= shownAt[BACK_TO - 1]!;
    return { lines: original, isAfterCapture };
  }

  /** A guest resumed and kept from running: what it is, and where its memory differs. */
  async function stoppedGuest(from: LedgerCommands, name: string) {
    const to = join(folder.path, `${name}.raw`);
    const at = ['--vm', 'guest', '--at', `@${BACK_TO}`];
    await from.json('restore', ...at, '--to', to);
    const memory = readFileSync(to);
    const { qmpPath, row } = await resume(from, { name, extra: ['-S'] });
    const memoryBytes = memory.length;
    const scratch = join(folder.path, 'dump');
    const differing = pagesThatDiffer(
      await dumpedMemory({ qmpPath, memoryBytes, scratch }),
      memory,
    );
    return { state: row['state'], memoryBytes, differing };
  }
  const AS_RECORDED = {
    state: 'paused',
    memoryBytes: GUEST.memoryMib * 1024 * 1024,
    differing: [],
  };

  test('has the captures that were asked for, each told as it was committed', () => {
    expect([outcome.exitCode, recorded.length]).toEqual([0, CAPTURES]);
    expect(asRecorded(captures)).toEqual(recorded);
  });

  test('has captures that tell how long it stood still, and how they were taken', () => {
    expect(captures.map(({ capture }) => capture)).toEqual([1, 2, 3, 4, 5]);
    for (const row of captures) {
      expect(typeof row['pauseMs']).toBe('number');
      expect(Number(row['pauseMs'])).toBeGreaterThan(0);
      expect(['background-snapshot', 'migrate']).toContain(row['mode']);
      expect(row['deviceState']).toBe(true);
      expect(Number(row['written'])).toBeGreaterThan(0);
    }
    const all = (row: JsonRow): number => Number(row['written']) + Number(row['unchanged']);
    expect(new Set(captures.map(all)).size).toBe(1);
    // What a guest at work writes between two captures is a small part of its memory.
    expect(Number(captures[4]!['written'])).toBeLessThan(all(captures[4]!) / 2);
  });

  test('is kept with its command line', async () => {
    const [vm] = await commands.json('vms');
    expect(vm).toMatchObject({ vm: 'guest', captures: CAPTURES, commandLine: guest.argv });
  });

  test(
    'goes on from capture 3 in another QEMU with the lines that it printed after capture 3',
    async () => {
      const { serialPath, row } = await resume(commands, { name: 'second' });
      expect(row).toMatchObject({ vm: 'guest', capture: BACK_TO, state: 'running' });
      const lines = await firstTicks(serialPath, LINES);
      expect(await originalOf(lines)).toEqual({ lines, isAfterCapture: true });
    },
    GUEST_TIMEOUT_MS,
  );

  test(
    'has the memory of capture 3 in another QEMU, page for page',
    async () => {
      expect(await stoppedGuest(commands, 'stopped')).toEqual(AS_RECORDED);
    },
    GUEST_TIMEOUT_MS,
  );

  testLong(
    'goes on with its recorded command line where that is said, its console on standard output',
    async () => {
      const at = ['--vm', 'guest', '--at', `@${BACK_TO}`];
      const command = commands.start(['resume', ...at, '--eager', '--as-recorded']);
      running.push(command);
      const lines = (): string[] =>
        ticksOf(command.stdout.toString('latin1').replaceAll('\r', '').split('\n').slice(0, -1));
      await command.until(() => lines().length >= LINES);
      const printed = lines().slice(0, LINES);
      expect(await originalOf(printed)).toEqual({ lines: printed, isAfterCapture: true });
      command.signal('SIGINT');
      expect((await command.ended).exitCode).toBe(0);
    },
    GUEST_TIMEOUT_MS,
  );

  testLong(
    'is the same from a copy of the ledger without keys and without anything derived',
    async () => {
      const copy = join(folder.path, 'copy');
      cpSync(url, copy, { recursive: true });
      for (const derived of ['projections', 'keys'])
        rmSync(join(copy, derived), { recursive: true });
      const copied = new LedgerCommands(copy);
      expect(await stoppedGuest(copied, 'copied-stopped')).toEqual(AS_RECORDED);
      rmSync(join(copy, 'projections'), { recursive: true });
      const { serialPath } = await resume(copied, { name: 'copied' });
      const lines = await firstTicks(serialPath, LINES);
      expect(await originalOf(lines)).toEqual({ lines, isAfterCapture: true });
    },
    GUEST_TIMEOUT_MS,
  );

  testLong(
    'restored as a stream and recorded again stores nothing and has the same memory',
    async () => {
      const to = join(folder.path, 'stream');
      const at = ['--at', `@${BACK_TO}`];
      await commands.json('restore', '--vm', 'guest', ...at, '--to', to, '--format', 'qemu');
      const [row] = await commands.json('record', 'image', '--vm', 'again', to);
      expect(row).toMatchObject({ stored: 0, deviceState: true, mode: 'stream' });
      const raw = await commands.bytes('restore', '--vm', 'guest', ...at, '--to', '-');
      const again = await commands.bytes('restore', '--vm', 'again', '--to', '-');
      expect(pagesThatDiffer(again, raw)).toEqual([]);
    },
    GUEST_TIMEOUT_MS,
  );

  describe('is not resumed', () => {
    const refused = (words: readonly string[]) =>
      commands.run(['resume', '--vm', 'guest', '--at', `@${BACK_TO}`, ...words]);

    test(
      'with a disk it can write to, unless that is said',
      async () => {
        const disk = join(folder.path, 'disk.img');
        const words = [tools.qemu, '-drive', `file=${disk},format=raw`];
        const refusal = await refused(['--eager', '--', ...words]);
        expect(refusal.exitCode).toBe(1);
        expect(refusal.stderr).toContain('GUEST_DISK');
        expect(refusal.stderr).toContain(disk);
        expect(refusal.stderr).toContain('--disk-ok');
        const allowed = await refused(['--eager', '--disk-ok', '--', ...words]);
        expect(allowed.exitCode).toBe(1);
        // QEMU was started, and itself says that there is no such disk.
        expect(allowed.stderr).toContain('QEMU_FAILED');
        expect(existsSync(disk)).toBe(false);
      },
      GUEST_TIMEOUT_MS,
    );

    test(
      'with another amount of memory, and QEMU says why',
      async () => {
        const other = { tools, folder: folder.path, ...GUEST, name: 'small', memoryMib: 64 };
        const refusal = await refused(['--eager', '--', ...guestCommand(other)]);
        expect(refusal.exitCode).toBe(1);
        expect(refusal.stderr).toContain('QEMU_FAILED');
      },
      GUEST_TIMEOUT_MS,
    );
  });

  test(
    'until Ctrl-C ends with a whole capture and exit code 0, and skipped ticks are said',
    async () => {
      await wakeGuest(guest);
      const words = ['--qmp', guest.qmpPath, '--every', '20ms'];
      const recorder = commands.start(['--json', 'record', 'qemu', '--vm', 'stopped', ...words]);
      await recorder.until((command) => command.rows().length >= 2);
      recorder.signal('SIGINT');
      const done = await recorder.ended;
      expect(done.exitCode).toBe(0);
      expect(done.stderr).toContain('finishing the capture');
      expect(done.stderr).toMatch(/\d+ ticks? of --every 20ms .* skipped/u);
      expect(await capturesOf('stopped')).toEqual(recorder.rows());
      const [summary, ...more] = await commands.json('verify');
      expect([summary!['damaged'], more]).toEqual([0, []]);
      // And the guest runs on.
      const shown = guest.lines().length;
      await guest.waitForLine(TICK_LINE, { from: shown });
    },
    GUEST_TIMEOUT_MS,
  );

  test(
    'that ends while it is recorded ends the recording with what was committed',
    async () => {
      const words = ['--qmp', guest.qmpPath, '--every', '100ms'];
      const recorder = commands.start(['--json', 'record', 'qemu', '--vm', 'ended', ...words]);
      await recorder.until((command) => command.rows().length >= 1);
      await guest.kill();
      const done = await recorder.ended;
      expect([1, 6]).toContain(done.exitCode);
      expect(done.stderr).toMatch(/QMP_(LOST|UNREACHABLE)|STREAM_TRUNCATED/u);
      expect(await capturesOf('ended')).toEqual(recorder.rows());
      const [summary] = await commands.json('verify');
      expect(summary!['damaged']).toBe(0);
    },
    GUEST_TIMEOUT_MS,
  );
});
