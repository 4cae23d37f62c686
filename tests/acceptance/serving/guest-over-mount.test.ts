// Two guests that have their memory from one mounted point: each maps the file for itself, is sent its
// devices alone, and goes on with the very lines that the recorded guest printed.

import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, readFileSync, statSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  guestCommand,
  guestPaths,
  type DemoGuest,
} from '../../../adapters/guests/demo-guest/start-guest.ts';
import { LedgerCommands } from '../../support/command-line.ts';
import { guestsIn } from '../../support/guest/guests-in-folder.ts';
import {
  describeWithQemu,
  findMountTools,
  GUEST_TIMEOUT_MS,
  inLongRun,
} from '../../support/guest/real-guest.ts';
import { firstTicks, sameTicks, tickingGuest } from '../../support/guest/watched-guest.ts';
import { whileRecordedFurther } from '../../support/ledgers/recorded-further.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const GUEST = { seed: 9, memoryMib: 128 };
const LINES = 3;

describeWithQemu('guests over a mounted point', inLongRun(await findMountTools()), (tools) => {
  let folder: TemporaryFolder;
  let commands: LedgerCommands;
  let guest: DemoGuest;
  const guests: ChildProcess[] = [];
  const { at, run } = guestsIn(() => folder.path, { tools, ...GUEST });

  beforeAll(async () => {
    folder = await makeTemporaryFolder();
    commands = new LedgerCommands(at('ledger'));
    guest = await tickingGuest({ tools, folder: folder.path, ...GUEST });
    await commands.json(
      'record',
      'qemu',
      '--vm',
      'web',
      '--qmp',
      guest.qmpPath,
      '--count',
      '2',
      '--every',
      '1s',
    );
    mkdirSync(at('m'));
    await run(commands, 'mount', '--vm', 'web', '--at', '@2', '--block', 'pc.ram', at('m'));
    const stream = ['--format', 'qemu', '--without-block', 'pc.ram', '--to', at('devices')];
    await run(commands, 'restore', '--vm', 'web', '--at', '@2', ...stream);
  }, GUEST_TIMEOUT_MS);
  afterAll(async () => {
    for (const each of guests) {
      const gone = new Promise((resolve) => each.once('exit', resolve));
      each.kill('SIGKILL');
      await gone;
    }
    await guest.kill();
    await run(commands, 'unmount', at('m'));
    await folder.remove();
  }, GUEST_TIMEOUT_MS);

  /** Starts a guest whose memory is the file. */
  function start(name: string): string {
    const backend = `memory-backend-file,id=pc.ram,size=${GUEST.memoryMib}M,mem-path=${at('m/memory')},share=off`;
    const words = ['-object', backend, '-machine', 'pc,memory-backend=pc.ram'];
    const incoming = ['-incoming', `exec:cat ${at('devices')}`];
    const specification = {
      tools,
      folder: folder.path,
      ...GUEST,
      name,
      extra: [...words, ...incoming],
    };
    const [program, ...rest] = guestCommand(specification);
    guests.push(spawn(program!, rest, { stdio: 'ignore' }));
    return guestPaths(specification).serialPath;
  }

  test(
    'both go on where the recorded one was, which is recorded further, and the file stays as it was',
    async () => {
      expect(statSync(at('devices')).size).toBeLessThan(2 ** 21);
      await commands.json('restore', '--vm', 'web', '--at', '@2', '--to', at('before.raw'));
      const record = (): Promise<unknown> =>
        commands.json('record', 'qemu', '--vm', 'web', '--qmp', guest.qmpPath, '--count', '1');
      const ticks = await whileRecordedFurther(commands, { vm: 'web', record }, () =>
        Promise.all([start('one'), start('other')].map((path) => firstTicks(path, LINES))),
      );
      expect(ticks[1]).toEqual(ticks[0]);
      expect((await sameTicks(guest, ticks[0]!)).lines).toEqual(ticks[0]);
      const [newest] = await commands.json('captures', '--vm', 'web', '--last', '1');
      expect(Number(newest!['capture'])).toBeGreaterThan(3);
      expect(await commands.json('diff', '--vm', 'web', '@2', 'latest')).not.toEqual([]);
      const memory = readFileSync(at('m/memory'));
      const before = readFileSync(at('before.raw'));
      expect(before.subarray(0, memory.length).equals(memory)).toBe(true);
    },
    GUEST_TIMEOUT_MS,
  );
});
