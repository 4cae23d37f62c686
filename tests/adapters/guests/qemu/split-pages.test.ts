// Orders to split a QEMU's large pages, to a file that stands in for the kernel's.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mappingsIn } from '../../../../adapters/guests/qemu/process-memory.ts';
import { splitOrders, splitPages } from '../../../../adapters/guests/qemu/split-pages.ts';
import {
  makeTemporaryFolder,
  type TemporaryFolder,
} from '../../../support/disks/temporary-folder.ts';

const MIB = 2 ** 20;
/** A block of 10 MiB, guarded behind, and another process's file. */
const MAPS = `7f2180000000-7f2180a00000 rw-p 00000000 00:00 0
7f2180a00000-7f2180a01000 ---p 00000000 00:00 0
7f21cd200000-7f21cd220000 rw-p 00000000 00:00 0
`;

describe('orders to split regions', () => {
  const of = { process: 42, blockBytes: 10 * MIB };

  test('name the addresses of the block at which they lie, those that follow each other at once', () => {
    expect(splitOrders(mappingsIn(MAPS), { ...of, regions: [4, 0, 1] })).toEqual({
      orders: ['42,0x7f2180000000,0x7f2180400000', '42,0x7f2180800000,0x7f2180a00000'],
      regions: 3,
    });
  });

  test('leave out what lies behind the block', () => {
    expect(splitOrders(mappingsIn(MAPS), { ...of, regions: [5, 6] })).toEqual({
      orders: [],
      regions: 0,
    });
  });

  test('are none where it is not clear where the block lies', () => {
    const orders = (maps: string, blockBytes: number) =>
      splitOrders(mappingsIn(maps), { process: 42, blockBytes, regions: [0] });
    expect(orders(MAPS, 12 * MIB)).toBeNull();
    const twice = MAPS + MAPS.replaceAll('7f2180', '7f2280');
    expect(orders(twice, 10 * MIB)).toBeNull();
  });
});

describe('a process', () => {
  let folder: TemporaryFolder;
  beforeAll(async () => {
    folder = await makeTemporaryFolder();
  });
  afterAll(() => folder.remove());

  test('that has no such block, or has ended, is told to split nothing, and why', () => {
    const file = join(folder.path, 'orders');
    writeFileSync(file, '');
    const ask = (process: number) =>
      splitPages({ process, blockBytes: 3 * 2 ** 50, regions: [0], file });
    expect(ask(process.pid)).toMatchObject({
      _tag: 'not',
      why: expect.stringContaining('not clear'),
    });
    expect(ask(2 ** 22 + 1)).toMatchObject({ _tag: 'not', why: expect.stringContaining('ended') });
    expect(readFileSync(file, 'utf8')).toBe('');
  });
});
