// `record image --new`: a timer names a folder, and what the VM has a capture of is
// passed over, whatever became of that capture since.

import { mkdirSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  compact,
  forgetHistory,
  forgetPoints,
  recordImages,
  type FileTurn,
  type Ledger,
} from '../../../index.ts';
import { jsonRows, LedgerCommands } from '../../support/command-line.ts';
import { qcow2Image } from '../../support/guest/qcow2-bytes.ts';
import * as stream from '../../support/guest/stream-bytes.ts';
import { makeImage } from '../../support/images.ts';
import { restored, withLedger } from '../../support/ledgers/recorded-images.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

let folder: TemporaryFolder;
let url: string;
let images: string;
beforeEach(async () => {
  folder = await makeTemporaryFolder();
  url = join(folder.path, 'ledger');
  images = join(folder.path, 'images');
  mkdirSync(images);
});
afterEach(() => folder.remove());

/** A stream of a guest whose pages are filled with these bytes. */
const streamOf = (fills: readonly number[]): Buffer =>
  stream.bytesOf(
    stream.head(),
    stream.start([{ name: 'pc.ram', pages: fills.length }]),
    stream.end(...fills.map((fill, i) => stream.page(i, stream.pageOf(fill), 'pc.ram'))),
    stream.tail(),
  );

const imageOf = (seed: number): Uint8Array => makeImage({ seed, pages: 3 });

/** Writes an image that was last written so many seconds after 2026 began. */
function put(name: string, seed: number, seconds: number): string {
  const path = join(images, name);
  writeFileSync(path, imageOf(seed));
  const time = Date.UTC(2026, 0, 1) / 1000 + seconds;
  utimesSync(path, time, time);
  return path;
}

async function recordNew(
  ledger: Ledger,
  ...files: string[]
): Promise<{ sources: string[]; passedOver: number }> {
  const sources: string[] = [];
  const { passedOver } = await recordImages(
    ledger,
    { vm: 'web', group: null },
    { files, timeMs: null, isNew: true },
    ({ image }) => sources.push(image!.name),
  );
  return { sources, passedOver };
}

describe('a folder that is recorded again and again', () => {
  test('gives what is new of it, oldest first, then by name', async () => {
    put('c.raw', 3, 1);
    put('b.raw', 2, 2);
    put('a.raw', 1, 2);
    put('.partial', 9, 0);
    mkdirSync(join(images, 'deeper'));
    symlinkSync('a.raw', join(images, 'link'));
    await withLedger({ url, mode: 'create' }, async (ledger) => {
      const first = await recordNew(ledger, images);
      expect(first).toEqual({ sources: ['c.raw', 'a.raw', 'b.raw'], passedOver: 0 });
      expect(await recordNew(ledger, images)).toEqual({ sources: [], passedOver: 3 });
      put('d.raw', 4, 0);
      const twice = await recordNew(ledger, images, join(images, 'd.raw'));
      expect(twice).toEqual({ sources: ['d.raw'], passedOver: 4 });
      expect(await restored(ledger, { vm: 'web', at: '@4', folder: folder.path })).toEqual(
        Buffer.from(imageOf(4)),
      );
    });
  });

  test('tells of each file how much of all that was given lies before it', async () => {
    for (const [i, name] of ['a.raw', 'b.raw', 'c.raw'].entries()) put(name, i, i);
    const [a, b] = ['a.raw', 'b.raw'].map((name) => join(images, name));
    const [bytes, totalBytes] = [3 * 4096, 3 * 3 * 4096];
    await withLedger({ url, mode: 'create' }, async (ledger) => {
      const turns = async (files: string[], isNew: boolean): Promise<FileTurn[]> => {
        const told: FileTurn[] = [];
        const onFile = (turn: FileTurn): void => void told.push(turn);
        const request = { files, timeMs: null, isNew, onFile };
        await recordImages(ledger, { vm: 'web', group: null }, request, () => undefined);
        return told;
      };
      const [first, second, third] = [0, bytes, 2 * bytes].map((doneBytes) => ({
        doneBytes,
        bytes,
        totalBytes,
      }));
      expect(await turns([a!, a!, b!], false)).toEqual([first, second, third]);
      // Those that are passed over count as done.
      expect(await turns([images], true)).toEqual([third]);
    });
  });

  test('gives snapshots of a disk image that came since, and tells of those that the VM has', async () => {
    const path = join(images, 'disk.qcow2');
    const state = (byte: number): Buffer => streamOf([byte, byte, byte]);
    const snapshots = [
      { name: 'one', state: state(1), seconds: 1_700_000_000 },
      { name: 'two', state: state(2), seconds: 1_700_000_100 },
    ];
    const commands = new LedgerCommands(url);
    const record = async (): Promise<readonly string[]> => {
      const words = ['record', 'image', '--vm', 'web', '--new', '--init', images];
      const { stdout, exitCode } = await commands.start(words).ended;
      expect(exitCode).toBe(0);
      return stdout.toString().trimEnd().split('\n').slice(0, -1);
    };
    writeFileSync(path, qcow2Image(snapshots.slice(0, 1)));
    expect(await record()).toEqual([expect.stringMatching(/^web@1: 3 pages written/u)]);
    writeFileSync(path, qcow2Image(snapshots));
    expect(await record()).toEqual([
      expect.stringMatching(/^web@2: 3 pages written/u),
      '1 snapshot passed over: web has them',
    ]);
    const times = (await commands.json('checkpoints')).map((row) => [
      row['name'],
      row['capturedAt'],
    ]);
    expect(times).toEqual([
      ['one', '2023-11-14T22:13:20.250Z'],
      ['two', '2023-11-14T22:15:00.250Z'],
    ]);
  });

  test('knows its files by name, size and time, in a new process and once forgotten', async () => {
    put('a.raw', 1, 1);
    put('b.raw', 2, 2);
    await withLedger({ url, mode: 'create' }, (ledger) => recordNew(ledger, images));
    await withLedger({ url, mode: 'write' }, async (ledger) => {
      await forgetPoints(ledger, { vm: 'web', at: ['@1'] });
      await compact(ledger, { graceMs: 0, isDryRun: false });
    });
    rmSync(join(url, 'projections'), { recursive: true });
    await withLedger({ url, mode: 'write' }, async (ledger) => {
      expect(await recordNew(ledger, images)).toEqual({ sources: [], passedOver: 2 });
      put('a.raw', 1, 3);
      put('b.raw', 7, 2);
      // Only the time tells: content is not compared.
      expect(await recordNew(ledger, images)).toEqual({ sources: ['a.raw'], passedOver: 1 });
    });
  });

  test('is known by the time of its last file once its history was let go', async () => {
    const ahead = Date.now() / 1000 - Date.UTC(2026, 0, 1) / 1000 + 86_400;
    put('a.raw', 1, 1);
    put('b.raw', 2, 2);
    put('z.raw', 3, ahead);
    await withLedger({ url, mode: 'create' }, async (ledger) => {
      expect((await recordNew(ledger, images)).sources).toEqual(['a.raw', 'b.raw', 'z.raw']);
      put('c.raw', 4, 3);
      expect((await recordNew(ledger, images)).sources).toEqual(['c.raw']);
      await forgetPoints(ledger, { vm: 'web', at: ['@1', '@2', '@3'] });
      await forgetHistory(ledger, { isDryRun: false });
      const { gone } = ledger.vm('web');
      expect(gone?.imagesToNs).toBe(String(BigInt(Date.UTC(2026, 0, 1, 0, 0, 2)) * 1_000_000n));
      expect(gone?.images.map(({ name }) => name)).toEqual(['z.raw']);
      // Older than what is remembered: it came late, and is not told from those that are gone.
      put('late.raw', 5, 1.5);
      put('d.raw', 6, 4);
      expect(await recordNew(ledger, images)).toEqual({ sources: ['d.raw'], passedOver: 5 });
    });
  });

  test('that has nothing needs no recorder', () =>
    withLedger({ url, mode: 'create' }, async (ledger) => {
      expect(await recordNew(ledger, images)).toEqual({ sources: [], passedOver: 0 });
      expect(ledger.vms()).toEqual([]);
    }));
});

test('the command line passes over what the VM has, and a folder without --new is refused', async () => {
  const commands = new LedgerCommands(url);
  put('a.raw', 1, 1);
  put('b.raw', 2, 2);
  const run = (...words: string[]) =>
    commands.run(['--json', 'record', 'image', '--vm', 'web', ...words]);
  const refused = await run(images);
  expect([refused.exitCode, refused.stderr]).toEqual([1, expect.stringContaining('--new')]);
  const summary = async () => jsonRows((await run('--new', images)).stdout).at(-1);
  expect(await summary()).toMatchObject({ captures: 2, passedOver: 0 });
  expect(await summary()).toMatchObject({ captures: 0, passedOver: 2 });
  const rows = await commands.json('captures', '--vm', 'web');
  expect(rows.map(({ image }) => image)).toEqual([
    { name: 'a.raw', bytes: 12_288, timeNs: '1767225601000000000' },
    { name: 'b.raw', bytes: 12_288, timeNs: '1767225602000000000' },
  ]);
}, 120_000);
