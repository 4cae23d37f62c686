import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { MemoryGroup, memoryHierarchy } from '../../../adapters/guests/memory-group.ts';
import { withTemporaryFolder } from '../../support/disks/temporary-folder.ts';

const FIRST = '35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory';
const CPU = '36 31 0:33 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu';
const SECOND = '31 25 0:27 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate';

describe('where the kernel accounts for memory', () => {
  test('is the hierarchy of the controller, by the path of this process in it', () => {
    const groups = '5:devices:/\n4:memory:/api/one\n0::/';
    expect(memoryHierarchy([CPU, FIRST].join('\n'), groups)).toEqual({
      version: 1,
      folder: '/sys/fs/cgroup/memory/api/one',
    });
  });

  test('is found where several controllers are one hierarchy, and where only a part of it is seen', () => {
    const mounts = '35 31 0:32 /api /mnt rw - cgroup cgroup rw,cpu,memory';
    expect(memoryHierarchy(mounts, '4:cpu,memory:/api/one')).toEqual({
      version: 1,
      folder: '/mnt/one',
    });
  });

  test('is the one hierarchy of the second version where there is no other', () => {
    expect(memoryHierarchy(SECOND, '0::/user.slice/a')).toEqual({
      version: 2,
      folder: '/sys/fs/cgroup/user.slice/a',
    });
    expect(memoryHierarchy(CPU, '1:cpu:/')).toBeNull();
  });
});

/** A folder as the kernel has it for a group; what is written there stays as it was written. */
async function inFolder(version: 1 | 2, work: (folder: string) => Promise<void>): Promise<void> {
  await withTemporaryFolder(async (folder) => {
    for (const file of ['cgroup.subtree_control']) writeFileSync(join(folder, file), '');
    await work(folder);
    expect(readFileSync(join(folder, 'cgroup.subtree_control'), 'utf8')).toBe(
      version === 2 ? '+memory' : '',
    );
  });
}

test('a group that does not account for memory is none', () =>
  inFolder(2, (folder) => {
    expect(MemoryGroup.make('a', { version: 2, folder })).toBeNull();
    mkdirSync(join(folder, 'b'));
    expect(MemoryGroup.make('b', { version: 2, folder })).toBeNull();
    return Promise.resolve();
  }));

test('nobody makes a group where there is no folder for it', () => {
  expect(MemoryGroup.make('a', { version: 1, folder: '/nowhere' })).toBeNull();
});
