// A disk without a byte left, as the commands meet it: what only reads works with nothing derived, also
// onto another disk; what writes says that the disk is full, and works once there is room.
//
// Skipped where nothing can be mounted, which is said.

import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { jsonRows, LedgerCommands } from '../../support/command-line.ts';
import { FILE_SYSTEMS, fillUp, NotHere, type Mounted } from '../../support/disks/file-systems.ts';
import { changeImage, makeImage } from '../../support/images.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const FIRST = makeImage({ seed: 1, pages: 64 });
const SECOND = changeImage(FIRST, { seed: 2, changedPages: 9 });

const folder: TemporaryFolder = await makeTemporaryFolder();

/** Mounts a small disk; null, with the reason on the terminal: it cannot be had here. */
function mounted(): Mounted | null {
  try {
    return FILE_SYSTEMS['tmpfs']!(folder.path);
  } catch (error) {
    if (!(error instanceof NotHere)) throw error;
    process.stdout.write(`not tried: ${error.message}\n`);
    return null;
  }
}

const disk = mounted();

afterAll(async () => {
  disk?.unmount();
  await folder.remove();
});

async function onDisk(full: Mounted): Promise<void> {
  const url = join(full.folder, 'ledger');
  const commands = new LedgerCommands(url);
  const image = join(folder.path, 'image');
  const record = async () => {
    const words = ['--json', 'record', 'image', '--vm', 'web', image];
    const { exitCode, stderr } = await commands.run(words);
    return { exitCode, stderr };
  };
  writeFileSync(image, FIRST);
  await commands.run(['init']);
  expect(await record()).toEqual({ exitCode: 0, stderr: '' });
  writeFileSync(image, SECOND);
  expect(await record()).toMatchObject({ exitCode: 0 });
  await commands.run(['checkpoint', '--vm', 'web', '--name', 'one', '--at', '@1']);

  const rows = jsonRows((await commands.run(['--json', 'log', '--pages'])).stdout);
  const identifier = String(
    rows.find((row) => typeof row['identifier'] === 'string')!['identifier'],
  );

  rmSync(join(url, 'projections'), { recursive: true });
  const filler = fillUp(full);
  const out = join(folder.path, 'out');
  for (const words of [
    ['vms'],
    ['captures', '--vm', 'web'],
    ['checkpoints', '--vm', 'web'],
    ['log'],
    ['log', '--pages'],
    ['history', '--vm', 'web', '--page', '3'],
    ['who', '--identifier', identifier],
    ['diff', '--vm', 'web', '@1', '@2', '--bytes'],
    ['sharing'],
    ['patterns'],
    ['head'],
    ['verify'],
    ['forget', '--vm', 'web', '--at', '@1', '--dry-run'],
    ['compact', '--dry-run'],
    ['restore', '--vm', 'web', '--at', '@1', '--to', out],
  ]) {
    const { exitCode, stderr } = await commands.run(words);
    const failed = exitCode === 0 && !stderr.includes('unexpected') ? [] : [stderr];
    expect({ words, failed }).toEqual({ words, failed: [] });
  }
  expect(readFileSync(out).equals(FIRST)).toBe(true);
  const { stdout } = await commands.run(['restore', '--vm', 'web', '--to', '-']);
  expect(Buffer.from(stdout).equals(SECOND)).toBe(true);

  writeFileSync(image, makeImage({ seed: 3, pages: 64 }));
  expect(await record()).toEqual({ exitCode: 6, stderr: expect.stringContaining('DISK_FULL') });
  const there = await commands.run(['restore', '--vm', 'web', '--to', join(full.folder, 'out')]);
  expect(there).toMatchObject({ exitCode: 6, stderr: expect.stringContaining('DISK_FULL') });
  rmSync(filler);
  expect(await record()).toMatchObject({ exitCode: 0 });
  expect((await commands.run(['verify'])).exitCode).toBe(0);
}

(disk === null ? test.skip : test)(
  'on a full disk reading works, writing is DISK_FULL, and nothing is lost',
  () => onDisk(disk!),
  600_000,
);
