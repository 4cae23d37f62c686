// What pages cost that a guest holds to be free, at the command line: of a kernel that was put together,
// beside a VM that is no Linux and has the same page once.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { LedgerCommands } from '../../support/command-line.ts';
import { madeKernel } from '../../support/guest/made-kernel.ts';
import { fillPage, seededRandom } from '../../support/images.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const LONG_MS = 300_000;
const PAGE = 4096;

let folder: TemporaryFolder;
let commands: LedgerCommands;

/** A page that is no pattern, and like no other. */
function some(seed: number): Uint8Array {
  const page = new Uint8Array(PAGE);
  fillPage(page, 'random', seededRandom(seed));
  return page;
}

async function record(vm: string, bytes: Uint8Array): Promise<void> {
  const path = join(folder.path, 'image');
  writeFileSync(path, bytes);
  await commands.json('record', 'image', '--format', 'raw', '--vm', vm, path);
}

beforeAll(async () => {
  folder = await makeTemporaryFolder();
  commands = new LedgerCommands(join(folder.path, 'ledger'));
  await commands.run(['init']);
  // Two free pages: one holds what another VM has as well, and later something of its own; the other
  // one is taken into use.
  const made = madeKernel();
  made.put(23, 0, some(0));
  await record('made', made.bytes);
  made.put(23, 0, some(1));
  made.put(22, 0, some(2));
  made.u64(20, 22 * 64 + 48, 0xffff_ffffn);
  made.u64(20, 22 * 64 + 24, 0xffff_8880_0000_1001n);
  made.u64(20, 23 * 64 + 48, 0xffff_ff7fn);
  await record('made', made.bytes);
  await record('none', some(0));
}, LONG_MS);
afterAll(() => folder.remove());

test(
  'sharing says what the pages cost that guests hold to be free',
  async () => {
    const [all] = await commands.json('sharing', '--free');
    expect(all).toMatchObject({ freePages: 1, freeContents: 1, undescribedVms: ['none'] });
    expect(Number(all!['freeBytes'])).toBeGreaterThan(PAGE / 2);
    const [before] = await commands.json('sharing', '--vm', 'made', '--at', 'pos:0', '--free');
    expect(before).toMatchObject({ freePages: 0, freeContents: 0, undescribedVms: [] });
    const [plain] = await commands.json('sharing');
    expect(plain).not.toHaveProperty('freePages');
    const { stdout, stderr } = await commands.run(['sharing', '--free']);
    expect(stdout.toString()).toContain('guests hold 1 of the pages to be free (4.0 %)');
    expect(stderr).toContain('not every free page is known: no Linux kernel');
  },
  LONG_MS,
);

test(
  'the whole history says how many of its page events and contents are of free pages alone',
  async () => {
    const rows = await commands.json('sharing', '--what-if', '--free');
    const [recorded] = rows;
    const captures = await commands.json('captures', '--vm', 'made');
    const written = captures.reduce((sum, row) => sum + Number(row['written']), 0);
    const pageEvents = written + 1;
    // Pages 22 and 23 of the first capture, page 23 of the second.
    const events = { pageEvents, freePageEvents: 3, undescribedCaptures: 1 };
    const pages = Number(recorded!['pages']) - 1;
    expect(rows.at(-1)).toMatchObject({ setting: 'without free pages', pages, ...events });
    expect(await commands.json('sharing', '--what-if')).toHaveLength(rows.length - 1);
    const { stdout } = await commands.run(['sharing', '--what-if', '--free']);
    expect(stdout.toString()).toMatch(/3 of \d+ page events .* of 1 captures nobody says it\.\n$/u);
  },
  LONG_MS,
);
