// The command line of a guest, in a ledger that may be somebody else's: nothing secret is in it, and it
// is run by nobody who was not shown it.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { recordSmallGuest } from '../../support/guest/recorded-guest.ts';
import { LedgerCommands } from '../../support/command-line.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const LONG_MS = 300_000;
const SECRETS = ['hunter2-disk', 'hunter2-token'];

let folder: TemporaryFolder;
let url: string;
/** Made by the recorded program, if it is ever run. */
let proof: string;

const recordGuestOf = (vm: string, argv: readonly string[]): Promise<void> => {
  const [head, sections, description] = [1, 2, 3].map((byte) => Uint8Array.of(byte));
  const device = { head: head!, sections: sections!, description: description! };
  return recordSmallGuest(url, { vm, device, argv });
};

beforeAll(async () => {
  folder = await makeTemporaryFolder();
  url = join(folder.path, 'ledger');
  proof = join(folder.path, 'it was run');
  await recordGuestOf('foreign', ['/bin/sh', '-c', `echo run > '${proof}'`]);
  await recordGuestOf('secret', [
    'qemu-system-x86_64',
    '-object',
    `secret,id=disk0,data=${SECRETS[0]}`,
    '-fw_cfg',
    `name=opt/token,string=${SECRETS[1]}`,
  ]);
}, LONG_MS);
afterAll(() => folder.remove());

const resume = (...words: readonly string[]) =>
  new LedgerCommands(url).run(['resume', '--at', '@1', '--eager', ...words]);

test(
  'is shown and not run, unless that is said',
  async () => {
    const { exitCode, stderr } = await resume('--vm', 'foreign');
    expect(exitCode).toBe(2);
    expect(stderr).toContain('--as-recorded');
    expect(stderr).toContain('/bin/sh -c');
    expect(existsSync(proof)).toBe(false);
  },
  LONG_MS,
);

test(
  'is run when that is said',
  async () => {
    await resume('--vm', 'foreign', '--as-recorded');
    expect(existsSync(proof)).toBe(true);
  },
  LONG_MS,
);

test(
  'has no secret in the log, and is not run without it',
  async () => {
    const files = readdirSync(join(url, 'log'), { recursive: true, withFileTypes: true });
    const bytes = files
      .filter((file) => file.isFile())
      .map((file) => readFileSync(join(file.parentPath, file.name), 'latin1'))
      .join('');
    expect(bytes).toContain('disk0,data=');
    for (const secret of SECRETS) expect(bytes).not.toContain(secret);
    const { exitCode, stderr } = await resume('--vm', 'secret', '--as-recorded');
    expect(exitCode).toBe(2);
    expect(stderr).toContain('lacks what was secret in it');
  },
  LONG_MS,
);
