// Commands that work with guests, interrupted before they have come to what they are for: each says in a line
// what is so then, and leaves no QEMU, mount, temporary folder or pack behind. With real guests.

import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import type { DemoGuest } from '../../../adapters/guests/demo-guest/start-guest.ts';
import { LedgerCommands, type RunningCommand } from '../../support/command-line.ts';
import { clonesOf, guestsIn, interrupted } from '../../support/guest/guests-in-folder.ts';
import {
  describeWithQemu,
  findMountTools,
  GUEST_TIMEOUT_MS,
  inLongRun,
} from '../../support/guest/real-guest.ts';
import { firstTicks, tickingGuest } from '../../support/guest/watched-guest.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const GUEST = { seed: 31, memoryMib: 128 };
const LINES = 2;
const SIGNALS = [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const;

describeWithQemu('interrupted', inLongRun(await findMountTools()), (tools) => {
  let folder: TemporaryFolder;
  let commands: LedgerCommands;
  let guest: DemoGuest;
  const { at, environment, wordsOf, consoleOf, run } = guestsIn(() => folder.path, {
    tools,
    ...GUEST,
  });
  /** Where commands make temporary folders. */
  const temporary = (): string => at('t');
  const start = (...words: readonly string[]): RunningCommand =>
    commands.start(words, { environment: { ...environment(), TMPDIR: temporary() } });

  /** Processes whose words name something in the folder, but for the guest that was there before. */
  const processes = (): string[] =>
    readdirSync('/proc')
      .filter((name) => /^\d+$/u.test(name) && Number(name) !== guest.pid)
      .flatMap((pid) => {
        try {
          const words = readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ');
          return words.includes(folder.path) ? [words] : [];
        } catch {
          return [];
        }
      });
  const packs = (): string[] =>
    readdirSync(at('ledger/packs'), { recursive: true, encoding: 'utf8' }).toSorted();

  /** Nothing is left behind; those that were killed are about to be gone. */
  async function checkLeft(): Promise<void> {
    for (let i = 0; i < 100 && processes().length > 0; i += 1) await sleep(100);
    expect(processes()).toEqual([]);
    expect(readdirSync(temporary())).toEqual([]);
    expect(await commands.json('clones')).toEqual([]);
  }

  beforeAll(async () => {
    folder = await makeTemporaryFolder();
    mkdirSync(temporary());
    commands = new LedgerCommands(at('ledger'));
    guest = await tickingGuest({ tools, folder: folder.path, ...GUEST });
    await commands.json('record', 'qemu', '--vm', 'web', '--qmp', guest.qmpPath, '--count', '1');
  }, GUEST_TIMEOUT_MS);
  afterEach(() => checkLeft(), GUEST_TIMEOUT_MS);
  afterAll(async () => {
    await guest.kill();
    await folder.remove();
  }, GUEST_TIMEOUT_MS);

  /** Interrupts a command as soon as something holds, which must end it with a word. */
  async function ended(
    command: RunningCommand,
    [signal, exit]: (typeof SIGNALS)[number],
    holds: () => boolean,
  ): Promise<string> {
    const over = { is: false };
    void command.ended.then(() => (over.is = true));
    while (!holds() && !over.is) await sleep(2);
    command.signal(signal);
    const { exitCode, stderr } = await command.ended;
    expect([exitCode, stderr]).toEqual([exit, expect.stringContaining(`interrupted by ${signal}`)]);
    return stderr;
  }
  const isBegun = (): boolean => readdirSync(temporary()).length > 0;

  test.each(SIGNALS)(
    'by %s, resume starts no guest, and clone no clones',
    async (...signal) => {
      const resumed = start('resume', '--vm', 'web', '--', ...wordsOf('resumed'));
      expect(await ended(resumed, signal, isBegun)).toContain('no guest runs of web@1');
      // Consoles stay: those of the other signal tell nothing of this one.
      const name = `${signal[0]}-clone`;
      const words = ['clone', '--vm', 'web', '--count', '6', '--', ...wordsOf(`${name}-{n}`)];
      const cloning = start(...words);
      const hasBegun = (): boolean =>
        Array.from({ length: 6 }, (_, i) => consoleOf(`${name}-${i + 1}`)).some(existsSync);
      const said = await ended(cloning, signal, hasBegun);
      expect(said).toContain('no clone runs, and nothing is mounted for them');
      expect(readdirSync(at('state/pageledger-mounts'))).toEqual([]);
    },
    GUEST_TIMEOUT_MS,
  );

  test.each(SIGNALS)(
    'by %s, mount mounts nothing',
    async (...signal) => {
      const place = at(`mounted-${signal[0]}`);
      mkdirSync(place);
      const mounting = start('mount', '--vm', 'web', place);
      const said = await ended(mounting, signal, () => processes().length > 1);
      expect(said).toMatch(/nothing is mounted at|nothing was changed/u);
      for (let i = 0; i < 100 && processes().length > 0; i += 1) await sleep(100);
      expect(readdirSync(place)).toEqual([]);
    },
    GUEST_TIMEOUT_MS,
  );

  test.each(SIGNALS)(
    'by %s, checkpoint records nothing of a guest, which runs on',
    async (...signal) => {
      const before = packs();
      const words = ['checkpoint', '--vm', 'web', '--name', 'live', '--qmp', guest.qmpPath];
      const said = await ended(start(...words), signal, isBegun);
      expect(said).toContain('nothing of web was recorded or named, and its guest runs on');
      expect(packs()).toEqual(before);
      expect(await commands.json('captures', '--vm', 'web')).toHaveLength(1);
      const seen = guest.lines().length;
      while (guest.lines().length < seen + LINES) await sleep(50);
    },
    GUEST_TIMEOUT_MS,
  );

  test.each(SIGNALS)(
    'by %s, park leaves a clone running, and wake one parked',
    async (...signal) => {
      const name = signal[0];
      const cloning = start('--json', 'clone', '--vm', 'web', '--', ...wordsOf(`own-${name}`));
      const [clone] = await clonesOf(cloning, 1);
      await firstTicks(consoleOf(`own-${name}`), LINES);
      const id = String(clone!['id']);
      const [before, folders] = [packs(), readdirSync(temporary()).length];
      const isCapturing = (): boolean => readdirSync(temporary()).length > folders;
      const parking = await ended(start('park', id), signal, isCapturing);
      expect(parking).toContain(`clone ${id} is not parked and runs on`);
      expect(packs()).toEqual(before);
      expect(await commands.json('clones')).toMatchObject([{ id, kind: 'mapped' }]);
      await firstTicks(consoleOf(`own-${name}`), 2 * LINES);
      await run(commands, 'park', id);
      await cloning.ended;
      const waking = start('wake', id, '--', ...wordsOf(`woken-${name}`));
      const said = await ended(waking, signal, () => existsSync(consoleOf(`woken-${name}`)));
      expect(said).toContain(`clone ${id} is parked still, and nothing is mounted for it`);
      expect(await commands.json('clones')).toMatchObject([{ id, kind: 'parked' }]);
      // Once it is awake, an interruption is its end.
      const awake = start('--json', 'wake', id, '--', ...wordsOf(`awake-${name}`));
      await clonesOf(awake, 1);
      await interrupted(awake);
    },
    GUEST_TIMEOUT_MS,
  );

  test.each(SIGNALS)(
    'by %s, the demonstration leaves nothing of itself',
    async (...signal) => {
      const demo = start('demo');
      await demo.until(({ stdout }) => stdout.includes('capture 1'));
      const said = await ended(demo, signal, () => true);
      expect(said).toContain('the demonstration ends here, and nothing of it stays');
      expect(existsSync(join(temporary(), 'pageledger-demo'))).toBe(false);
    },
    GUEST_TIMEOUT_MS,
  );
});
