// Times as they were: what a source says stands in the ledger as it is, is warned
// about where it is doubtful, and one wrong clock spoils one capture.

import { utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { LedgerCommands } from '../../support/command-line.ts';
import { makeImage } from '../../support/images.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const LONG_MS = 120_000;
const TIMES = ['2026-01-01T00:00:00Z', '2099-02-07T06:28:16Z', '2026-01-03T00:00:00Z'];

let folder: TemporaryFolder;
let commands: LedgerCommands;
let images: Uint8Array[];
let files: string[];

beforeAll(async () => {
  folder = await makeTemporaryFolder();
  commands = new LedgerCommands(join(folder.path, 'ledger'));
  images = TIMES.map((_, i) => makeImage({ seed: i + 1, pages: 4 }));
  files = images.map((bytes, i) => {
    const file = join(folder.path, `${i}.raw`);
    writeFileSync(file, bytes);
    utimesSync(file, new Date(TIMES[i]!), new Date(TIMES[i]!));
    return file;
  });
}, LONG_MS);
afterAll(() => folder.remove());

test(
  'a time ahead of the clock, and one before the last, are kept, warned about, and spoil nothing else',
  async () => {
    const before = Date.now();
    const { exitCode, stderr } = await commands.run(['record', 'image', '--vm', 'v', ...files]);
    expect(exitCode).toBe(0);
    const warnings = stderr.split('\n').filter((line) => line.includes('warning'));
    expect(warnings).toEqual([
      expect.stringMatching(
        /time of v@2, 2099-02-07T06:28:16\.000Z, is ahead of this host's clock/u,
      ),
      expect.stringMatching(/time of v@3, .* is before that of the capture before it, 2099-/u),
    ]);
    const rows = await commands.json('captures', '--vm', 'v');
    expect(rows.map(({ time }) => Date.parse(String(time)))).toEqual(TIMES.map(Date.parse));
    for (const { recordedAt } of rows) {
      expect(Date.parse(String(recordedAt))).toBeGreaterThanOrEqual(before);
      expect(Date.parse(String(recordedAt))).toBeLessThanOrEqual(Date.now());
    }
    const restored = (at: string) =>
      commands.bytes('restore', '--vm', 'v', '--at', at, '--to', '-').then((bytes) => [...bytes]);
    expect(await restored('time:2026-01-02')).toEqual([...images[0]!]);
    expect(await restored('time:2026-01-04T00:00:00Z')).toEqual([...images[2]!]);
    expect(await restored('time:2026-01-03T02:00+02:00')).toEqual([...images[2]!]);
    expect(await restored('ago:0s')).toEqual([...images[2]!]);
    expect(await restored('@2')).toEqual([...images[1]!]);
    expect(await restored('latest')).toEqual([...images[2]!]);
  },
  LONG_MS,
);

test(
  'a day that no calendar has is refused, in recording and in asking',
  async () => {
    const refused = await commands.run([
      'record',
      'image',
      '--vm',
      'none',
      '--time',
      '2026-02-30',
      files[0]!,
    ]);
    expect([refused.exitCode, refused.stderr]).toEqual([
      2,
      expect.stringContaining('the calendar has no 2026-02-30'),
    ]);
    const asked = await commands.run(['diff', '--vm', 'v', 'time:2027-02-30T00:00:00Z', '@1']);
    expect([asked.exitCode, asked.stderr]).toEqual([
      2,
      expect.stringContaining('the calendar has no 2027-02-30'),
    ]);
    const early = await commands.run(['diff', '--vm', 'v', 'time:2001-02-03T04:05:06Z', '@1']);
    expect([early.exitCode, early.stderr]).toEqual([
      5,
      expect.stringContaining('no capture at 2001-02-03T04:05:06.000Z or before'),
    ]);
  },
  LONG_MS,
);

test(
  "times without a zone are the host's with --local",
  async () => {
    const words = ['--vm', 'zoned', '--time', '2026-07-01T12:00', files[0]!];
    const environment = { TZ: 'America/New_York' };
    const run = async (...options: string[]) =>
      (await commands.run([...options, 'record', 'image', ...words], { environment })).exitCode;
    expect([await run(), await run('--local')]).toEqual([0, 0]);
    const rows = await commands.json('captures', '--vm', 'zoned');
    expect(rows.map(({ time }) => time)).toEqual([
      '2026-07-01T12:00:00.000Z',
      '2026-07-01T16:00:00.000Z',
    ]);
  },
  LONG_MS,
);
