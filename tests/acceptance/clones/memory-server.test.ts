// Guests on a host that holds no page of their memory: it comes from a memory server, over TCP to who has
// the key of the group alone, and is waited for while the server is away.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import type { DemoGuest } from '../../../adapters/guests/demo-guest/start-guest.ts';
import { groupKeyText } from '../../../adapters/stores/keys/group-key-file.ts';
import { LedgerCommands, type RunningCommand } from '../../support/command-line.ts';
import { guestsIn } from '../../support/guest/guests-in-folder.ts';
import {
  describeWithQemu,
  findMountTools,
  GUEST_TIMEOUT_MS,
} from '../../support/guest/real-guest.ts';
import {
  firstTicks,
  restGuest,
  sameTicks,
  tickingGuest,
} from '../../support/guest/watched-guest.ts';
import { IS_LONG } from '../../support/long-run.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const GUEST = { seed: 23, memoryMib: 128 };
const BYTES = GUEST.memoryMib * 2 ** 20;
const LINES = 3;
/** How often the server is killed under running clones. */
const KILLS = IS_LONG ? 20 : 1;

describeWithQemu('a memory server', await findMountTools(), (tools) => {
  let folder: TemporaryFolder;
  let here: LedgerCommands;
  let far: LedgerCommands;
  let guest: DemoGuest;
  const running: RunningCommand[] = [];
  const { at, environment, wordsOf, consoleOf, run } = guestsIn(() => folder.path, {
    tools,
    ...GUEST,
  });

  const started = async (
    commands: LedgerCommands,
    rows: number,
    words: readonly string[],
  ): Promise<RunningCommand> => {
    const command = commands.start(['--json', ...words], { environment: environment() });
    running.push(command);
    await command.until((each) => each.rows().length === rows);
    return command;
  };
  const ended = async (command: RunningCommand, signal: NodeJS.Signals): Promise<void> => {
    running.splice(running.indexOf(command), 1);
    command.signal(signal);
    await command.ended;
  };
  const serving = (listen: string): Promise<RunningCommand> =>
    started(here, 1, ['serve', 'memory', '--vm', 'web', '--at', '@1', '--listen', listen]);
  const refused = async (...words: string[]): Promise<readonly [number | null, string]> => {
    const { exitCode, stderr } = await far.run(words, { environment: environment() });
    return [exitCode, stderr];
  };

  beforeAll(async () => {
    folder = await makeTemporaryFolder();
    here = new LedgerCommands(at('ledger'));
    far = new LedgerCommands(at('no-ledger'));
    guest = await tickingGuest({ tools, folder: folder.path, ...GUEST });
    const once = ['--vm', 'web', '--qmp', guest.qmpPath, '--count', '1'];
    await here.json('record', 'qemu', ...once);
    await restGuest(guest);
    await here.run(['group', 'export', '--group', 'default', '--to', at('key')]);
    const other = { group: 'default', key: new Uint8Array(32).fill(9) };
    writeFileSync(at('other-key'), groupKeyText(other));
    mkdirSync(at('m'));
  }, GUEST_TIMEOUT_MS);
  afterEach(async () => {
    for (const command of [...running].toReversed()) await ended(command, 'SIGINT');
  }, GUEST_TIMEOUT_MS);
  afterAll(async () => {
    await guest.kill();
    await folder.remove();
  }, GUEST_TIMEOUT_MS);

  test(
    'over TCP runs clones where there is no ledger, and they go on when it was killed',
    async () => {
      let server = await serving('tcp:127.0.0.1:0');
      const port = String(server.rows()[0]!['port']);
      const from = ['--from', port, '--key', at('key')];
      const words = ['clone', ...from, '--count', '2', '--', ...wordsOf('far-{n}')];
      const clones = await started(far, 2, words);
      const ticks = await Promise.all([1, 2].map((n) => firstTicks(consoleOf(`far-${n}`), LINES)));
      expect(ticks[1]).toEqual(ticks[0]);
      expect((await sameTicks(guest, ticks[0]!)).lines).toEqual(ticks[0]);
      const kinds = (await here.json('leases')).map(({ kind }) => kind);
      expect(kinds).toEqual(['server', 'clone', 'clone']);

      await run(far, 'mount', ...from, at('m'));
      await here.run(['restore', '--vm', 'web', '--layout', 'packed', '--to', at('raw')]);
      const wanted = readFileSync(at('raw'));
      expect(wanted.length).toBe(BYTES);
      const file = await open(at('m/memory'));
      const part = BYTES / KILLS;
      for (let kill = 0; kill < KILLS; kill += 1) {
        await ended(server, 'SIGKILL');
        const bytes = Buffer.alloc(part);
        const reading = file.read(bytes, 0, part, kill * part);
        expect(await Promise.race([reading, pause(300, 'waits')])).toBe('waits');
        server = await serving(`tcp:127.0.0.1:${port}`);
        await reading;
        expect(bytes.equals(wanted.subarray(kill * part, (kill + 1) * part))).toBe(true);
      }
      await file.close();
      await run(far, 'unmount', at('m'));
      const more = await firstTicks(consoleOf('far-2'), 2 * LINES);
      expect((await sameTicks(guest, more)).lines).toEqual(more);
      await ended(clones, 'SIGINT');
      const published = await here.json('log', '--type', 'MasterPublished');
      expect(published).toHaveLength(KILLS + 1);
    },
    GUEST_TIMEOUT_MS,
  );

  test(
    'gives nothing over TCP without the key of the group, and on a socket to its owner alone',
    async () => {
      const server = await serving('tcp:127.0.0.1:0');
      const port = String(server.rows()[0]!['port']);
      expect(await refused('mount', '--from', port, at('m'))).toEqual([
        2,
        expect.stringContaining('give the file that `group export` wrote'),
      ]);
      const wrong = await refused('mount', '--from', port, '--key', at('other-key'), at('m'));
      expect(wrong).toEqual([1, expect.stringContaining('no common key')]);
      await ended(server, 'SIGINT');
      expect(await refused('mount', '--from', port, '--key', at('key'), at('m'))).toEqual([
        6,
        expect.stringContaining('does not answer'),
      ]);

      await serving(`unix:${at('sock')}`);
      await run(far, 'mount', '--from', at('sock'), at('m'));
      await run(far, 'unmount', at('m'));
      // Without a key nothing is known of what pages are; with another one nothing fits.
      const { exitCode, stderr } = await here.run(['copy', at('ledger'), at('copied')]);
      expect([exitCode, stderr]).toEqual([0, expect.anything()]);
      const keyless = new LedgerCommands(at('copied'));
      const words = ['serve', 'memory', '--vm', 'web', '--listen', 'tcp:127.0.0.1:0'];
      const failed = await keyless.run(words);
      expect([failed.exitCode, failed.stderr]).toEqual([
        5,
        expect.stringContaining('has the key of the group alone'),
      ]);
    },
    GUEST_TIMEOUT_MS,
  );
});
