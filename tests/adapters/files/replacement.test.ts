import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { FilePort } from '../../../adapters/files/file-port.ts';
import { nodeFiles } from '../../../adapters/files/files.ts';
import { openReplacement } from '../../../adapters/files/replacement.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';
import { LossyFiles } from '../../simulation/lossy-files.ts';

let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await makeTemporaryFolder();
});
afterAll(() => folder.remove());

const NEW = Buffer.from('new');
const at = (name: string): string => join(folder.path, name);
const modeOf = (path: string): number => statSync(path).mode & 0o777;

async function replace(path: string, isForced = true): Promise<void> {
  const replacement = await openReplacement({ files: nodeFiles, path, isForced });
  await replacement.file.write(NEW, 0);
  await replacement.place();
}

const refused = (path: string, isForced = true): Promise<unknown> =>
  openReplacement({ files: nodeFiles, path, isForced }).catch((thrown: unknown) => thrown);

describe('a file that takes another one’s place', () => {
  test('is its owner’s alone where there was none', async () => {
    await replace(at('fresh'), false);
    expect(readFileSync(at('fresh'), 'utf8')).toBe('new');
    expect(modeOf(at('fresh'))).toBe(0o600);
  });

  test.each([0o600, 0o640, 0o666])('keeps the permissions %o of what it replaces', async (mode) => {
    const path = at(`of-${mode}`);
    writeFileSync(path, 'old');
    chmodSync(path, mode);
    await replace(path);
    expect(readFileSync(path, 'utf8')).toBe('new');
    expect(modeOf(path)).toBe(mode);
  });

  test('has a name as long as a name can be', async () => {
    const name = 'n'.repeat(255);
    await replace(at(name));
    expect(readFileSync(at(name), 'utf8')).toBe('new');
    expect(await refused(at(`${name}n`))).toMatchObject({ code: 'TARGET_UNWRITABLE' });
  });

  test('leaves what was there when it is discarded', async () => {
    writeFileSync(at('kept'), 'old');
    const before = readdirSync(folder.path);
    const request = { files: nodeFiles, path: at('kept'), isForced: true };
    const replacement = await openReplacement(request);
    await replacement.file.write(NEW, 0);
    await replacement.discard();
    expect(readFileSync(at('kept'), 'utf8')).toBe('old');
    expect(readdirSync(folder.path)).toEqual(before);
  });
});

describe('what cannot be replaced is refused at once', () => {
  test.each(['', 'nosuch/', 'nosuch/file'])('the path %j', async (path) => {
    expect(await refused(path)).toMatchObject({ name: 'LedgerError', code: 'TARGET_UNWRITABLE' });
  });

  test('a file that is there, unless that is said', async () => {
    writeFileSync(at('there'), 'old');
    expect(await refused(at('there'), false)).toMatchObject({ code: 'TARGET_EXISTS' });
  });

  test('a link, wherever it leads; it is not followed', async () => {
    symlinkSync(at('nowhere'), at('dangling'));
    expect(await refused(at('dangling'), false)).toMatchObject({ code: 'TARGET_EXISTS' });
    expect(await refused(at('dangling'))).toMatchObject({ code: 'TARGET_UNWRITABLE' });
    expect(existsSync(at('nowhere'))).toBe(false);
    expect(lstatSync(at('dangling')).isSymbolicLink()).toBe(true);
  });

  test('a pipe, a device, a folder', async () => {
    expect(spawnSync('mkfifo', [at('pipe')]).status).toBe(0);
    for (const path of [at('pipe'), '/dev/null', folder.path])
      expect(await refused(path)).toMatchObject({ code: 'TARGET_UNWRITABLE' });
  });
});

describe('a large file is put onto the disk while it is written', () => {
  const LARGE = 32 * 1024 * 1024;

  /** Files of this system, whose syncs are done when the test says so. */
  function slowFiles(): { files: FilePort; syncs: ((failure: Error | null) => void)[] } {
    const syncs: ((failure: Error | null) => void)[] = [];
    const files: FilePort = Object.create(nodeFiles, {
      open: {
        value: async (...opening: Parameters<FilePort['open']>) => {
          const file = await nodeFiles.open(...opening);
          const sync = (): Promise<void> =>
            new Promise((resolve, reject) => {
              syncs.push((failure) => (failure === null ? resolve() : reject(failure)));
            });
          return Object.assign(file, { sync });
        },
      },
    });
    return { files, syncs };
  }

  test('one sync at a time, and it has its place when all of it is there', async () => {
    const { files, syncs } = slowFiles();
    const replacement = await openReplacement({ files, path: at('large'), isForced: true });
    await replacement.file.write(NEW, 0);
    replacement.wrote(LARGE - 1);
    expect(syncs.length).toBe(0);
    replacement.wrote(LARGE);
    replacement.wrote(9 * LARGE);
    expect(syncs.length).toBe(1);
    syncs[0]!(null);
    await setImmediate();
    replacement.wrote(2 * LARGE - 1);
    expect(syncs.length).toBe(1);
    replacement.wrote(2 * LARGE);
    expect(syncs.length).toBe(2);
    const placed = replacement.place();
    await setImmediate();
    // The last one waits for the one before.
    expect([syncs.length, existsSync(at('large'))]).toEqual([2, false]);
    syncs[1]!(null);
    await setImmediate();
    expect([syncs.length, existsSync(at('large'))]).toEqual([3, false]);
    syncs[2]!(null);
    await placed;
    expect(readFileSync(at('large'), 'utf8')).toBe('new');
  });

  test('a failure of one that is over by then leaves what was there', async () => {
    const { files, syncs } = slowFiles();
    writeFileSync(at('torn'), 'old');
    const before = readdirSync(folder.path);
    const replacement = await openReplacement({ files, path: at('torn'), isForced: true });
    await replacement.file.write(NEW, 0);
    replacement.wrote(LARGE);
    syncs[0]!(new Error('no such block'));
    await setImmediate();
    await expect(replacement.place()).rejects.toThrow('no such block');
    await replacement.discard();
    expect(readFileSync(at('torn'), 'utf8')).toBe('old');
    expect(readdirSync(folder.path)).toEqual(before);
  });
});

test('a crash leaves the old file or the new one, whole, and after the end the new one', async () => {
  const path = '/d/memory';
  const disk = new LossyFiles(['/d']);
  const old = await disk.open(path, 'new');
  await old.write(Buffer.from('old'), 0);
  await old.sync();
  await disk.syncFolder('/d');
  const started = disk.operations.length;
  const replacement = await openReplacement({ files: disk, path, isForced: true });
  await replacement.file.write(NEW, 0);
  await replacement.place();
  const found = async (count: number, kept: Parameters<LossyFiles['afterCrash']>[1]) =>
    Buffer.from((await disk.afterCrash(count, kept).load(path, 100))!).toString();
  for (let count = started; count <= disk.operations.length; count += 1)
    for (const kept of ['all', 'none', { seed: count }] as const)
      expect(['old', 'new']).toContain(await found(count, kept));
  expect(await found(disk.operations.length, 'none')).toBe('new');
});
