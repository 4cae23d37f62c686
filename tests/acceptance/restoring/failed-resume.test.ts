// A guest whose QEMU ends before it runs, at once or while its point is being held: nothing holds that
// then, and nobody is told of anything but QEMU.

import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { LedgerCommands } from '../../support/command-line.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';
import { recordSmallGuest } from '../../support/guest/recorded-guest.ts';

/** Programs in QEMU's place that end, some of them a little later. */
const ENDING = ['exit 1', 'sleep 0.05; exit 1', 'sleep 0.2; exit 1'];

let folder: TemporaryFolder;
let commands: LedgerCommands;

beforeAll(async () => {
  folder = await makeTemporaryFolder();
  const url = join(folder.path, 'ledger');
  commands = new LedgerCommands(url);
  const description = Buffer.from('{"devices": []}');
  const device = { head: Uint8Array.of(1), sections: new Uint8Array(0), description };
  await recordSmallGuest(url, { vm: 'web', device, argv: ['qemu'] });
});
afterAll(() => folder.remove());

test('a guest whose QEMU ends at once leaves its point held by nobody', async () => {
  for (const program of ENDING) {
    const words = ['resume', '--vm', 'web', '--at', '@1', '--', '/bin/sh', '-c', program];
    const { exitCode, stderr } = await commands.run(words);
    expect([exitCode, stderr]).toEqual([1, expect.stringContaining('QEMU_FAILED')]);
    expect(stderr).not.toContain('who forgets or compacts');
  }
  const leased = await commands.json('log', '--type', 'PointLeased');
  const ended = await commands.json('log', '--type', 'LeaseEnded');
  expect(leased).toHaveLength(ENDING.length);
  expect(ended.map(({ lease, why }) => [lease, why])).toEqual(
    leased.map(({ lease }) => [lease, 'released']),
  );
});
