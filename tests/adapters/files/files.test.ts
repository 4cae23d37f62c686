// The file port: the real disk, files in memory and the disk that loses what was not synced do the
// same, as long as nothing crashes; and what a crash leaves of the latter.

import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import type { FilePort } from '../../../adapters/files/file-port.ts';
import { nodeFiles } from '../../../adapters/files/files.ts';
import { MemoryFiles } from '../../../adapters/files/memory-files.ts';
import { fileFailure } from '../../../adapters/files/failures.ts';
import { LossyFiles } from '../../simulation/lossy-files.ts';
import { withTemporaryFolder } from '../../support/disks/temporary-folder.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const textAt = async (files: FilePort, path: string): Promise<string | null> => {
  const found = await files.load(path, 1000);
  return found === null ? null : new TextDecoder().decode(found);
};

const DISKS = [
  {
    disk: 'of this machine',
    use: (work: Work) => withTemporaryFolder((path) => work(nodeFiles, path)),
  },
  { disk: 'in memory', use: (work: Work) => inMemory(work) },
  { disk: 'that crashes', use: (work: Work) => work(new LossyFiles(['/disk']), '/disk') },
];
async function inMemory(work: Work): Promise<void> {
  const files = new MemoryFiles();
  await files.makeFolder('/disk');
  await work(files, '/disk');
}
type Work = (files: FilePort, folder: string) => Promise<void>;

describe.each(DISKS)('the disk $disk', ({ use }) => {
  test('gives back what was written and appended, and fewer bytes only at the end', () =>
    use(async (files, folder) => {
      const path = join(folder, 'a');
      const file = await files.open(path, 'new');
      await file.write(bytes('hello world'), 0);
      await file.write(bytes('W'), 6);
      await file.sync();
      await file.close();
      const appending = await files.open(path, 'append');
      await appending.append(bytes('!!'));
      const target = new Uint8Array(20);
      expect(await appending.read(target, 6)).toBe(7);
      expect(new TextDecoder().decode(target.subarray(0, 7))).toBe('World!!');
      expect(await appending.read(target, 13)).toBe(0);
      expect(await appending.read(new Uint8Array(0), 0)).toBe(0);
      await appending.truncate(5);
      expect(await appending.sizeBytes()).toBe(5);
      await appending.close();
      expect(await textAt(files, path)).toBe('hello');
      expect(await files.load(path, 2)).toEqual(bytes('he'));
    }));

  test('has names that are made, linked, renamed, listed and removed', () =>
    use(async (files, folder) => {
      const at = (name: string): string => join(folder, name);
      await files.makeFolder(at('x/y'));
      await files.makeFolder(at('x/y'));
      const file = await files.open(at('x/one'), 'create');
      await file.write(bytes('1'), 0);
      await file.close();
      expect(await files.link(at('x/one'), at('x/two'))).toBe(true);
      expect(await files.link(at('x/one'), at('x/two'))).toBe(false);
      await files.rename(at('x/one'), at('x/three'));
      await files.syncFolder(at('x'));
      expect(await files.list(at('x'))).toEqual(['three', 'two', 'y']);
      expect(await files.remove(at('x/two'))).toBe(true);
      expect(await files.remove(at('x/two'))).toBe(false);
      expect(await textAt(files, at('x/three'))).toBe('1');
      expect(await files.facts(at('x/y'))).toMatchObject({ isFolder: true });
      expect(await files.facts(at('x/three'))).toMatchObject({ isFolder: false, sizeBytes: 1 });
      expect(await files.facts(at('x/none'))).toBeNull();
      expect(await files.load(at('x/none'), 9)).toBeNull();
      expect(await files.list(at('none'))).toEqual([]);
    }));

  test('refuses to open what is not there, or new what is', () =>
    use(async (files, folder) => {
      const path = join(folder, 'a');
      for (const mode of ['read', 'edit', 'append'] as const) {
        const failure = { code: 'IO_FAILED', facts: { errno: 'ENOENT', file: path } };
        await expect(files.open(path, mode)).rejects.toMatchObject(failure);
      }
      await (await files.open(path, 'create')).close();
      await expect(files.open(path, 'new')).rejects.toMatchObject({ facts: { errno: 'EEXIST' } });
    }));

  test('tells who watches of an append, until he stops', () =>
    use(async (files, folder) => {
      const path = join(folder, 'a');
      await (await files.open(path, 'create')).close();
      const file = await files.open(path, 'append');
      let stop = (): void => undefined;
      const told = new Promise<string>((resolve) => {
        stop = files.watch(path, () => {
          resolve('told');
        });
      });
      await file.append(bytes('x'));
      expect(await told).toBe('told');
      stop();
      await file.close();
      files.watch(join(folder, 'none'), () => undefined)();
    }));
});

describe('failures of the disk', () => {
  test.each([
    ['ENOSPC', 'DISK_FULL'],
    ['EDQUOT', 'DISK_FULL'],
    ['EROFS', 'READ_ONLY'],
    ['EACCES', 'READ_ONLY'],
    ['EIO', 'IO_FAILED'],
  ])('%s is %s, with the file, the operation and what the system said', (errno, code) => {
    const cause = Object.assign(new TypeError('x'), { code: errno });
    const failure = fileFailure(cause, { operation: 'sync', path: '/x/y' });
    expect(failure).toMatchObject({
      code,
      cause,
      facts: { errno, file: '/x/y', operation: 'sync' },
    });
    expect(failure.message).toContain(errno);
    expect(failure.message).toContain('/x/y');
  });
});

describe('a crash of the disk in memory', () => {
  test('keeps what was synced, and of the rest all, nothing or some', async () => {
    const disk = new LossyFiles(['/d']);
    const file = await disk.open('/d/a', 'new');
    await file.write(bytes('synced'), 0);
    await file.sync();
    await disk.syncFolder('/d');
    await file.write(new Uint8Array(2048).fill(0x78), 6);
    const count = disk.operations.length;
    expect(await textAt(disk.afterCrash(count, 'none'), '/d/a')).toBe('synced');
    const all = await disk.afterCrash(count, 'all').load('/d/a', 9999);
    expect(all).toHaveLength(6 + 2048);
    const parts = new Set<string>();
    for (let seed = 0; seed < 40; seed += 1) {
      const some = (await disk.afterCrash(count, { seed }).load('/d/a', 9999))!;
      expect(new TextDecoder().decode(some.subarray(0, 6))).toBe('synced');
      // The first sector ends at 512: from there on each is whole or absent.
      const sectors = [512, 1024, 1536].map((at) => new Set(some.subarray(at, at + 512)));
      expect(sectors.every((sector) => sector.size <= 1)).toBe(true);
      parts.add(sectors.map((sector) => [...sector].join()).join(' '));
    }
    expect(parts.size).toBeGreaterThan(4);
  });

  test('may lose or keep a name until its folder was synced', async () => {
    const disk = new LossyFiles(['/d']);
    const file = await disk.open('/d/a', 'new');
    await file.write(bytes('1'), 0);
    await file.sync();
    const made = disk.operations.length;
    expect(await disk.afterCrash(made, 'none').list('/d')).toEqual([]);
    expect(await disk.afterCrash(made, 'all').list('/d')).toEqual(['a']);
    await disk.syncFolder('/d');
    await disk.rename('/d/a', '/d/b');
    const renamed = disk.operations.length;
    expect(await disk.afterCrash(renamed, 'none').list('/d')).toEqual(['a']);
    expect(await disk.afterCrash(renamed, 'all').list('/d')).toEqual(['b']);
    await disk.remove('/d/b');
    await disk.syncFolder('/d');
    expect(await disk.afterCrash(disk.operations.length, 'none').list('/d')).toEqual([]);
  });
});
