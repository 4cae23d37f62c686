// Who holds what is at hand as bytes, points that name their VM, and parts of what is long: asked in the
// asker's own words.

import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { PAGE_BYTES } from '../../../index.ts';
import { jsonRows, LedgerCommands } from '../../support/command-line.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

jest.setTimeout(120_000);

const [ONE, TWO, BOTH] = [1, 2, 3].map(() => randomBytes(PAGE_BYTES)) as [Buffer, Buffer, Buffer];
const ZEROS = Buffer.alloc(PAGE_BYTES);
const TIMES = ['2026-11-20T10:00:00.000Z', '2026-11-20T11:00:00.000Z'] as const;

let folder: TemporaryFolder;
let commands: LedgerCommands;
const path = (name: string): string => join(folder.path, name);

beforeAll(async () => {
  folder = await makeTemporaryFolder();
  commands = new LedgerCommands(path('ledger'));
  const record = async (vm: string, time: string, ...pages: Buffer[]): Promise<void> => {
    writeFileSync(path('image'), Buffer.concat(pages));
    await commands.json('record', 'image', '--vm', vm, '--time', time, path('image'));
  };
  await record('web', TIMES[0], ONE, BOTH, ZEROS);
  await record('web', TIMES[1], TWO, BOTH, ZEROS);
  await record('db', TIMES[1], BOTH, TWO, ZEROS);
  writeFileSync(path('asked'), Buffer.concat([BOTH, ZEROS, ONE]));
});
afterAll(() => folder.remove());

describe('who', () => {
  const at = [TIMES[0], TIMES[1]];

  test('names who holds the pages of a file, from when to when', async () => {
    const rows = await commands.json('who', '--file', path('asked'));
    expect(rows).toMatchObject([
      { filePage: 0, vm: 'web', gfn: 1, from: 1, fromTime: at[0], to: null, toTime: null },
      { filePage: 0, vm: 'db', gfn: 0, from: 1, fromTime: at[1], to: null, toTime: null },
      { filePage: 2, vm: 'web', gfn: 0, from: 1, fromTime: at[0], to: 2, toTime: at[1] },
    ]);
    const { stdout, stderr } = await commands.run(['who', '--file', path('asked')]);
    expect(stdout.toString()).toContain('page 2 of the file');
    expect(stderr).toContain('1 page is a pattern');
  });

  test('takes bytes, and a page of a VM at a point', async () => {
    const places = async (...words: string[]): Promise<unknown[]> =>
      (await commands.json('who', ...words)).map(({ vm, gfn }) => [vm, gfn]);
    expect(await places('--hex', ONE.toString('hex'))).toEqual([['web', 0]]);
    expect(await places('--hex', ONE.toString('hex'), '--at', 'web@2')).toEqual([]);
    expect(await places('--vm', 'web', '--page', '0', '--at', '@1')).toEqual([['web', 0]]);
    expect(await places('--vm', 'web', '--page', '0')).toEqual([
      ['web', 0],
      ['db', 1],
    ]);
    const { stdout, exitCode } = await commands.run(['who', '--text', 'nobody wrote this']);
    expect([exitCode, stdout.toString()]).toEqual([0, 'nobody ever held it\n']);
  });

  test.each([
    [[]],
    [['--file', '/no/such/file']],
    [['--hex', 'abc']],
    [['--text', '']],
    [['--page', '1']],
    [['--text', 'a', '--vm', 'web']],
    [['--text', 'a', '--hex', '00']],
  ])('refuses %j', async (words) => {
    expect(await commands.errorOf('who', ...words)).toEqual([2, 'BAD_USAGE']);
  });
});

describe('a point that names its VM', () => {
  test('stands for --vm, wherever a point is taken', async () => {
    const to = path('back');
    await commands.json('restore', '--at', 'web@1', '--to', to);
    expect(readFileSync(to)).toEqual(Buffer.concat([ONE, BOTH, ZEROS]));
    await commands.json('restore', '--at', 'db/latest', '--to', to, '--force');
    expect(readFileSync(to)).toEqual(Buffer.concat([BOTH, TWO, ZEROS]));
    const gfns = (await commands.json('diff', 'web@2', 'db/@1')).map(({ gfn }) => gfn);
    expect(gfns).toEqual([0, 1]);
    // One that names none is of the other's VM.
    const named = await commands.json('diff', 'web@1', 'web@2');
    expect(named.length).toBeGreaterThan(0);
    expect(await commands.json('diff', 'web@1', '@2')).toEqual(named);
    expect(await commands.json('diff', '@1', 'web/latest')).toEqual(named);
    const [taken] = await commands.json('checkpoint', '--name', 'first', '--at', 'web@1');
    expect(taken).toMatchObject({ vm: 'web', capture: 1 });
    const [read] = await commands.json('read', '--at', 'web/cp:first', '--page', '0');
    expect(read).toMatchObject({ vm: 'web', capture: 1, bytes: ONE.toString('hex', 0, 256) });
    const [gone] = await commands.json('forget', '--at', 'web@1', '--vm', 'web', '--dry-run');
    expect(gone).toMatchObject({ vm: 'web', capture: 1 });
  });

  test('is a moment of the whole ledger where that is asked about', async () => {
    const [at] = await commands.json('sharing', '--at', 'web@1');
    expect(at).toMatchObject({ vms: 1, unique: 2 });
    const events = await commands.json('log', '--to', 'web@1', '--type', 'CaptureCommitted');
    expect(events).toMatchObject([{ vm: 'web', capture: 1 }]);
    expect(await commands.json('log', '--vm', 'web', '--from', '@2')).not.toHaveLength(0);
  });

  test('is refused beside another VM, and needs one for what only a VM has', async () => {
    const restore = ['restore', '--to', path('never')];
    const refused = [2, 'BAD_USAGE'];
    expect(await commands.errorOf(...restore, '--at', 'web@1', '--vm', 'db')).toEqual(refused);
    expect(await commands.errorOf(...restore, '--vm', 'db', '--at', 'web@1')).toEqual(refused);
    expect(await commands.errorOf('diff', '@1', '@2')).toEqual(refused);
    expect(await commands.errorOf('sharing', '--at', '@1')).toEqual([2, 'BAD_POINT']);
  });
});

describe('parts of long lists', () => {
  const captures = async (...words: string[]): Promise<unknown[]> =>
    (await commands.json('captures', '--vm', 'web', ...words)).map(({ capture }) => capture);

  test('are the newest so many, those since a time, the newest first', async () => {
    expect(await captures('--last', '1')).toEqual([2]);
    expect(await captures('--reverse')).toEqual([2, 1]);
    expect(await captures('--since', '2026-11-20T10:30')).toEqual([2]);
    expect(await captures('--since', '1ms')).toEqual([]);
    expect(await commands.errorOf('captures', '--vm', 'web', '--since', 'x')).toEqual([
      2,
      'BAD_USAGE',
    ]);
    const history = (...words: string[]) =>
      commands.json('history', '--vm', 'web', '--page', '0', ...words);
    const versions = await history();
    expect(versions).toMatchObject([{ capture: 1 }, { capture: 2 }]);
    expect(await history('--reverse')).toEqual(versions.toReversed());
    expect(await history('--last', '1')).toEqual(versions.slice(1));
    const byAddress = await commands.json(
      'history',
      '--vm',
      'web',
      '--address',
      '9',
      '--last',
      '1',
    );
    expect(byAddress).toMatchObject([{ capture: 2, gfn: 0 }]);
    expect(await history('--since', '2026-11-20T10:30', '--last', '2')).toEqual(versions.slice(1));
  });

  test('of VMs by their last capture, and of who holds a content by when he began', async () => {
    const vms = async (...words: string[]): Promise<unknown[]> =>
      (await commands.json('vms', ...words)).map(({ vm }) => vm);
    const all = await vms();
    expect(await vms('--reverse', '--last', '1')).toEqual(all.slice(-1));
    expect(await vms('--since', '1ms')).toEqual([]);
    const who = (...words: string[]) =>
      commands.json('who', '--page', '1', '--vm', 'web', '--at', '@1', ...words);
    const holders = await who();
    const times = holders.map(({ fromTime }) => String(fromTime)).toSorted();
    expect(times.length).toBeGreaterThan(1);
    const reversed = await who('--reverse');
    expect(reversed.map(({ fromTime }) => fromTime)).toEqual(times.toReversed());
    expect(await who('--last', '1')).toEqual(reversed.slice(0, 1));
    expect(await who('--since', '1ms')).toEqual([]);
    expect(await commands.json('who', '--page', '1', '--at', 'web@1')).toEqual(await who());
    const mixed = await commands.run(['who', '--page', '1', '--vm', 'db', '--at', 'web@1']);
    expect([mixed.exitCode, mixed.stderr]).toEqual([2, expect.stringContaining('is of VM web')]);
    const words = ['who', '--page', '1', '--vm', 'web', '--at', '@1', '--since', '1ms'];
    expect((await commands.bytes(...words)).toString()).toContain('nobody began to hold it since');
    expect(await commands.json('leases', '--last', '1')).toEqual([]);
  });

  test('of VMs and checkpoints are by time, whichever VM came first', async () => {
    const others = new LedgerCommands(path('others'));
    const ends = (seconds: number): string =>
      new Date(Date.parse(TIMES[1]) + 1e3 * seconds).toISOString();
    for (const [vm, seconds] of [
      ['busy', 0],
      ['idle', 1],
      ['busy', 2],
    ] as const)
      await others.json('record', 'image', '--vm', vm, '--time', ends(seconds), path('image'));
    for (const [vm, name] of [
      ['idle', 'before'],
      ['busy', 'behind'],
    ] as const)
      await others.json('checkpoint', '--vm', vm, '--name', name);
    const vms = async (...words: string[]): Promise<unknown[]> =>
      (await others.json('vms', ...words)).map(({ vm }) => vm);
    expect(await vms()).toEqual(['busy', 'idle']);
    expect(await vms('--last', '1')).toEqual(['busy']);
    expect(await vms('--reverse')).toEqual(['busy', 'idle']);
    expect(await vms('--since', ends(2))).toEqual(['busy']);
    expect(await others.json('checkpoints', '--last', '1')).toMatchObject([{ name: 'behind' }]);
    expect(await others.json('checkpoints', '--reverse')).toMatchObject([
      { name: 'behind' },
      { name: 'before' },
    ]);
  });

  test('of the log, too', async () => {
    const all = await commands.json('log');
    expect(await commands.json('log', '--last', '3')).toEqual(all.slice(-3));
    expect(await commands.json('log', '--last', '2', '--reverse')).toEqual(
      all.slice(-2).toReversed(),
    );
    expect(await commands.json('log', '--reverse')).toEqual(all.toReversed());
    const since = ['--type', 'CaptureCommitted', '--since', TIMES[1]];
    expect(await commands.json('log', ...since)).toMatchObject([{ vm: 'web' }, { vm: 'db' }]);
    expect(await commands.errorOf('log', '--reverse', '--follow')).toEqual([2, 'BAD_USAGE']);
    expect(await commands.errorOf('log', '--since', '1h', '--from', '1')).toEqual([2, 'BAD_USAGE']);
  });

  test('of what differs, with the captures that it differs between', async () => {
    const rows = jsonRows((await commands.run(['--json', 'diff', 'web@1', 'db@1'])).stdout);
    expect(rows.at(-1)).toMatchObject({
      before: { vm: 'web', capture: 1, time: TIMES[0] },
      after: { vm: 'db', capture: 1, time: TIMES[1] },
      differing: 2,
    });
    const page = async (pages: string): Promise<unknown[]> =>
      (await commands.json('diff', 'web@1', 'db@1', '--page', pages)).map(({ gfn }) => gfn);
    const last = await commands.json('diff', 'web@1', 'db@1', '--last', '1', '--bytes');
    expect(last).toMatchObject([{ gfn: 1, ranges: expect.any(Array) }]);
    const newest = await commands.json('diff', 'web@1', 'db@1', '--reverse');
    expect(newest.map(({ gfn }) => gfn)).toEqual([1, 0]);
    expect(await page('1')).toEqual([1]);
    expect(await page('1-7')).toEqual([1]);
    expect(await page('2')).toEqual([]);
    expect(await commands.errorOf('diff', 'web@1', 'db@1', '--page', '3')).toEqual([
      5,
      'GFN_OUT_OF_RANGE',
    ]);
    expect(await commands.errorOf('diff', 'web@1', 'db@1', '--page', '2-1')).toEqual([
      2,
      'BAD_USAGE',
    ]);
  });
});
