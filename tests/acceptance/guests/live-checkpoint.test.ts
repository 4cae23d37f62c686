// A real guest that runs is captured and named in one command: the point is laid out at once, restores
// as any, and a guest that is resumed from it goes on with the lines that the first one printed.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  guestCommand,
  guestPaths,
  type DemoGuest,
} from '../../../adapters/guests/demo-guest/start-guest.ts';
import { LedgerCommands, type JsonRow } from '../../support/command-line.ts';
import { describeWithQemu, findTools, GUEST_TIMEOUT_MS } from '../../support/guest/real-guest.ts';
import {
  firstTicks,
  restGuest,
  sameTicks,
  tickingGuest,
} from '../../support/guest/watched-guest.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';
import { testLong } from '../../support/test-long.ts';

const found = await findTools();
const GUEST = { seed: 9, memoryMib: 128 };
/** Lines of the second console that are compared. */
const LINES = 4;

describeWithQemu('a guest that is checkpointed while it runs', found, (tools) => {
  let folder: TemporaryFolder;
  let commands: LedgerCommands;
  let guest: DemoGuest;
  let taken: JsonRow;
  let before: JsonRow;

  beforeAll(async () => {
    folder = await makeTemporaryFolder();
    commands = new LedgerCommands(join(folder.path, 'ledger'));
    guest = await tickingGuest({ tools, folder: folder.path, ...GUEST });
    const words = ['--qmp', guest.qmpPath, '--every', '500ms', '--count', '4'];
    await commands.json('record', 'qemu', '--vm', 'guest', ...words);
    before = (await commands.json('captures', '--vm', 'guest')).at(-1)!;
    const named = ['--name', 'live', '--note', 'while it runs'];
    const rows = await commands.json(
      'checkpoint',
      '--vm',
      'guest',
      ...named,
      '--qmp',
      guest.qmpPath,
    );
    taken = rows.at(-1)!;
    await restGuest(guest);
  }, GUEST_TIMEOUT_MS);
  afterAll(async () => {
    await guest.kill();
    await folder.remove();
  });

  test('has a capture more, which has the name and is laid out', async () => {
    expect(taken).toMatchObject({ vm: 'guest', name: 'live', note: 'while it runs' });
    expect(Number(taken['capture'])).toBe(Number(before['capture']) + 1);
    expect(Number(taken['readsAfter'])).toBeLessThanOrEqual(Number(taken['readsBefore']));
    const [row] = await commands.json('checkpoints', '--vm', 'guest');
    expect(row).toMatchObject({ name: 'live', capture: taken['capture'] });
    expect(row!['rewrittenBytes']).toBe(taken['rewrittenBytes']);
  });

  testLong(
    'is resumed before its memory is there, and goes on as the first guest did',
    async () => {
      const second = { tools, folder: folder.path, ...GUEST, name: 'second' };
      const at = ['--vm', 'guest', '--at', 'cp:live'];
      const command = commands.start(['--json', 'resume', ...at, '--', ...guestCommand(second)]);
      try {
        await command.until(({ stdout }) => stdout.includes('\n'));
        const lines = await firstTicks(guestPaths(second).serialPath, LINES);
        expect((await sameTicks(guest, lines)).lines).toEqual(lines);
      } finally {
        const [row] = command.rows();
        if (row !== undefined) process.kill(Number(row['pid']), 'SIGKILL');
        await command.ended;
      }
    },
    GUEST_TIMEOUT_MS,
  );

  test(
    'restores from its copies to what it is without them',
    async () => {
      const at = `@${String(taken['capture'])}`;
      const restored = async (name: string): Promise<Buffer> => {
        const to = join(folder.path, name);
        await commands.json('restore', '--vm', 'guest', '--at', at, '--to', to);
        return readFileSync(to);
      };
      const copied = await restored('copied.raw');
      expect(copied.length).toBe(GUEST.memoryMib * 1024 * 1024);
      expect((await commands.json('verify')).at(-1)).toMatchObject({ damaged: 0 });
      await commands.json('checkpoint', '--vm', 'guest', '--name', 'live', '--drop');
      expect((await restored('plain.raw')).equals(copied)).toBe(true);
    },
    GUEST_TIMEOUT_MS,
  );
});
