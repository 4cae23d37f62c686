// A disk that refuses: without permissions, full, or failing at any step of a recording. It is said
// clearly, what was committed stays whole, and recording goes on when the disk does.
//
// PAGELEDGER_STEP: only every so many operations fail, others of them for each answer of the disk; 1:
// every one (`npm run test:long`).

import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { FilePort } from '../../../adapters/files/file-port.ts';
import { isLedgerError } from '../../../domain/values/ledger-error.ts';
import { compact, forgetPoints, openLedger, openRecorder, verify } from '../../../index.ts';
import { countSteps, filesFullUnder, filesThatFail } from '../../support/spoiled/broken-files.ts';
import { COMMAND_LINE, LedgerCommands } from '../../support/command-line.ts';
import { takeSnapshot, type Snapshot } from '../../support/disks/folder-snapshot.ts';
import { changeImage, makeImage } from '../../support/images.ts';
import {
  digestOf,
  makeGuestLedger,
  recordBytes,
  recordOf,
  restoredDigest,
} from '../../support/ledgers/small-ledger.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const STEP = Number(process.env['PAGELEDGER_STEP'] ?? 5);
const PAGES = 24;
const first = makeImage({ seed: 31, pages: PAGES });
const second = changeImage(first, { seed: 32, changedPages: 5 });

let folder: TemporaryFolder;
let url: string;
let record: Snapshot;
const path = (name: string): string => join(folder.path, name);

beforeAll(async () => {
  folder = await makeTemporaryFolder();
  chmodSync(folder.path, 0o755);
  url = path('ledger');
  await makeGuestLedger({ url, scratch: folder.path, images: [first, second] });
  record = recordOf(url);
  writeFileSync(path('good.raw'), second);
  writeFileSync(path('unreadable.raw'), first);
  chmodSync(path('unreadable.raw'), 0);
});
afterAll(async () => {
  if (mountReason === null) spawnSync('umount', [place]);
  rmSync(place, { recursive: true, force: true });
  await folder.remove();
});

const isRoot = process.getuid?.() === 0;

/** Runs a command as a user who owns nothing here. */
const runAsNobody = (ledger: string, words: readonly string[]) =>
  spawnSync(process.execPath, [COMMAND_LINE, '--ledger', ledger, ...words], {
    encoding: 'utf8',
    ...(isRoot ? { uid: 65_534, gid: 65_534 } : {}),
  });

(isRoot ? describe : describe.skip)('without permissions (needs root, to be somebody else)', () => {
  test('an unreadable image is SOURCE_UNREADABLE', () => {
    mkdirSync(path('theirs'), { recursive: true });
    chmodSync(path('theirs'), 0o777);
    const theirs = join(path('theirs'), 'ledger');
    const { status, stderr } = runAsNobody(theirs, [
      'record',
      'image',
      '--init',
      '--vm',
      'v',
      path('unreadable.raw'),
    ]);
    expect({ status, stderr }).toEqual({
      status: 1,
      stderr: expect.stringContaining('SOURCE_UNREADABLE'),
    });
    expect(stderr).toContain('unreadable.raw');
  });

  test('a ledger that may only be read is read, and not recorded into', () => {
    const shared = path('copy-shared');
    cpSync(url, shared, { recursive: true });
    spawnSync('chmod', ['-R', 'a+rX', shared]);
    chmodSync(join(shared, 'keys'), 0o700);
    const before = takeSnapshot(shared);
    const out = join(path('theirs'), 'out');
    for (const words of [
      ['captures', '--vm', 'guest'],
      ['restore', '--vm', 'guest', '--to', out],
      ['sharing'],
      ['history', '--vm', 'guest', '--page', '3'],
    ]) {
      const { status, stderr } = runAsNobody(shared, words);
      expect({ words, status, stderr }).toEqual({ words, status: 0, stderr: '' });
    }
    expect(digestOf(readFileSync(out))).toBe(digestOf(second));
    const words = ['record', 'image', '--vm', 'guest', path('good.raw')];
    const written = runAsNobody(shared, words);
    expect({ ...written, status: written.status }).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('READ_ONLY'),
    });
    expect(written.stderr).toContain(shared);
    rmSync(join(shared, 'projections'), { recursive: true });
    expect(runAsNobody(shared, ['captures', '--vm', 'guest']).status).toBe(0);
    expect(recordOf(shared)).toEqual(record);
    expect([...takeSnapshot(shared).keys()].length).toBeLessThan(before.size);
  });

  test('a ledger that cannot be created says where', () => {
    const { status, stderr } = runAsNobody(path('forbidden'), [
      'record',
      'image',
      '--init',
      '--vm',
      'v',
      path('good.raw'),
    ]);
    expect({ status, stderr }).toEqual({ status: 1, stderr: expect.stringContaining('READ_ONLY') });
    expect(stderr).toContain('forbidden');
  });
});

const third = changeImage(second, { seed: 33, changedPages: 6 });

/** The captures a ledger has, each checked against its image. */
async function faultsAfter(ledgerUrl: string, what: string): Promise<string[]> {
  const faults: string[] = [];
  const scratch = path('scratch-after');
  const ledger = await openLedger({ url: ledgerUrl, mode: 'write', threads: 0 });
  try {
    const number = await recordBytes(ledger, { vm: 'guest', bytes: third, scratch });
    if (number !== 3 && number !== 4) faults.push(`${what}: the next capture has number ${number}`);
    const images = [first, second, ...Array.from({ length: number - 2 }, () => third)];
    for (const [i, image] of images.entries()) {
      const at = `@${i + 1}`;
      const digest = await restoredDigest(ledger, { vm: 'guest', at, scratch });
      if (digest !== digestOf(image)) faults.push(`${what}: ${at} is other memory`);
    }
    const { findings } = await verify(ledger, () => undefined);
    faults.push(...findings.map(({ where, reason }) => `${what}: ${where}: ${reason}`));
  } finally {
    await ledger.close();
  }
  return faults;
}

async function recordThird(ledgerUrl: string, files: FilePort): Promise<void> {
  const ledger = await openLedger({ url: ledgerUrl, mode: 'write', threads: 0, files });
  try {
    await recordBytes(ledger, { vm: 'guest', bytes: third, scratch: path('scratch-full') });
  } finally {
    await ledger.close();
  }
}

test.each([
  ['ENOSPC', 'DISK_FULL', 0],
  ['EROFS', 'READ_ONLY', 1],
  ['EIO', 'IO_FAILED', 2],
])(
  'a disk that answers %s at any step costs at most the capture under way',
  async (systemCode, code, offset) => {
    const fresh = (): string => {
      const copy = path('copy-full');
      rmSync(copy, { recursive: true, force: true });
      cpSync(url, copy, { recursive: true });
      return copy;
    };
    const steps = await countSteps((files) => recordThird(fresh(), files));
    expect(steps).toBeGreaterThan(10);
    const faults: string[] = [];
    let failures = 0;
    for (let step = offset % STEP; step < steps; step += STEP) {
      const copy = fresh();
      const what = `step ${step} of ${steps}`;
      try {
        await recordThird(copy, filesThatFail({ step, systemCode }));
      } catch (thrown) {
        failures += 1;
        if (!isLedgerError(thrown) || thrown.code !== code)
          faults.push(`${what}: failed with ${String(thrown)}`);
      }
      faults.push(...(await faultsAfter(copy, what)));
    }
    expect(faults).toEqual([]);
    expect(failures).toBeGreaterThan(STEP === 1 ? 2 : 0);
  },
  600_000,
);

describe('a disk that has no room left', () => {
  const copied = (): string => {
    const copy = path('copy-roomless');
    rmSync(copy, { recursive: true, force: true });
    cpSync(url, copy, { recursive: true });
    return copy;
  };
  /** Names and bytes of what lies under packs/. */
  const packsOf = (ledgerUrl: string): string[] =>
    [...takeSnapshot(ledgerUrl).keys()].filter((name) => /^packs\/../u.test(name)).toSorted();

  test('keeps no pack of a capture that failed', async () => {
    const copy = copied();
    const before = packsOf(copy);
    let isFull = false;
    const files = filesFullUnder(join(copy, 'log'), () => isFull);
    const ledger = await openLedger({ url: copy, mode: 'write', threads: 0, files });
    const scratch = path('scratch-roomless');
    isFull = true;
    const failed = recordBytes(ledger, { vm: 'guest', bytes: third, scratch });
    await expect(failed).rejects.toMatchObject({ code: 'DISK_FULL' });
    await ledger.close();
    const packs = (names: readonly string[]): string[] =>
      names.filter((name) => /[0-9a-f]{64}$/u.test(name));
    expect(packs(packsOf(copy))).toEqual(packs(before));
    expect(await faultsAfter(copy, 'with room again')).toEqual([]);
  });

  test('gets room by compaction, which deletes first what waited to be deleted', async () => {
    const copy = copied();
    let isFull = false;
    const files = filesFullUnder(copy, () => isFull);
    const ledger = await openLedger({ url: copy, mode: 'write', threads: 0, files });
    try {
      const scratch = path('scratch-roomless');
      const forgotten = async (vm: string, seed: number): Promise<void> => {
        const bytes = makeImage({ seed, pages: PAGES });
        await recordBytes(ledger, { vm, bytes, scratch });
        await recordBytes(ledger, { vm, bytes: third, scratch });
        await forgetPoints(ledger, { vm, before: '@2' });
      };
      await forgotten('other', 77);
      const recorder = await openRecorder(ledger, { vm: 'busy', group: null });
      const now = { graceMs: 0, isDryRun: false };
      const { deleted } = await compact(ledger, now);
      await recorder.close();
      expect(deleted.waitingPacks).toBeGreaterThan(0);
      await forgotten('more', 78);
      const before = packsOf(copy).length;
      isFull = true;
      await expect(compact(ledger, now)).rejects.toMatchObject({ code: 'DISK_FULL' });
      expect(before - packsOf(copy).length).toBeGreaterThanOrEqual(deleted.waitingPacks);
      isFull = false;
    } finally {
      await ledger.close();
    }
  });
});

const place = mkdtempSync(join(tmpdir(), 'pageledger-small-disk-'));
/** Why no small file system can be mounted there; null: one was. */
const mountReason = ((): string | null => {
  if (!isRoot) return 'mounting needs root';
  const options = ['-t', 'tmpfs', '-o', 'size=400k', 'pageledger-test', place];
  const mounted = spawnSync('mount', options, { encoding: 'utf8' });
  return mounted.status === 0 ? null : (mounted.stderr ?? 'mount is missing').trim();
})();
const onSmallDisk = mountReason === null ? describe : describe.skip;
const why = mountReason === null ? '' : `: skipped, ${mountReason}`;

onSmallDisk(`a real disk that is full${why}`, () => {
  test('is said clearly, nothing is lost, and recording goes on with space', async () => {
    const copy = join(place, 'ledger');
    cpSync(url, copy, { recursive: true });
    const large = path('large.raw');
    const random = { zero: 0, text: 0, random: 1, repeated: 0, duplicate: 0 };
    writeFileSync(large, makeImage({ seed: 5, pages: 200, mix: random }));
    const small = new LedgerCommands(copy);
    const full = await small.run(['record', 'image', '--vm', 'large', large]);
    expect({ exitCode: full.exitCode, stderr: full.stderr }).toEqual({
      exitCode: 6,
      stderr: expect.stringContaining('DISK_FULL'),
    });
    expect((await small.run(['verify'])).exitCode).toBe(0);
    expect(spawnSync('mount', ['-o', 'remount,size=8m', place]).status).toBe(0);
    expect(await faultsAfter(copy, 'with space')).toEqual([]);
    expect((await small.run(['record', 'image', '--vm', 'large', large])).exitCode).toBe(0);
  }, 300_000);
});
