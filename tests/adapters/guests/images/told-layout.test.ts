// How a raw file above 3 GiB lies, as whoever gives it says.

import { closeSync, ftruncateSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { fileLayoutOf, withoutGap } from '../../../../adapters/guests/images/told-layout.ts';
import { openImage } from '../../../support/guest/open-image.ts';
import { readMemory } from '../../../../adapters/files/memory-file.ts';
import { stretchOf } from '../../../../domain/ports/guests.ts';
import { isLedgerError } from '../../../../domain/values/ledger-error.ts';
import { flatMap, gfnOfAddress } from '../../../../domain/values/memory-map.ts';
import { PAGE_BYTES } from '../../../../domain/values/page.ts';
import { failureOf, valueOf } from '../../../support/outcomes.ts';
import {
  makeTemporaryFolder,
  type TemporaryFolder,
} from '../../../support/disks/temporary-folder.ts';
import * as stream from '../../../support/guest/stream-bytes.ts';

const GIB = 2 ** 30;
const clock = (): number => 1_790_000_000_000;
const layoutOf = (bytes: number, layout: 'packed' | 'physical', machine: string | null) =>
  fileLayoutOf({ label: 'a.raw', pages: bytes / PAGE_BYTES }, { layout, machine });
const rangesOf = ({ memoryMap }: ReturnType<typeof layoutOf>) =>
  memoryMap.ranges.map(({ address, offset, length }) => [address, offset, length]);

describe('a raw file', () => {
  test('of which nothing is said has each page at its offset, and nobody vouches for it', () => {
    expect(fileLayoutOf({ label: 'a.raw', pages: 2 ** 20 }, null)).toEqual({
      memoryMap: flatMap(2 ** 20),
      areRangesTold: false,
      gap: null,
      warnings: [],
    });
  });

  test.each([
    ['pc', 4 * GIB, 3 * GIB],
    ['pc-i440fx-7.2', 3.5 * GIB, 3 * GIB],
    ['q35', 2.75 * GIB, 2 * GIB],
    ['pc-q35-10.0', 8 * GIB, 2 * GIB],
    ['microvm', 5 * GIB, 3 * GIB],
    ['firecracker', 5 * GIB, 3 * GIB],
    ['cloud-hypervisor', 8 * GIB, 3 * GIB],
  ])('packed, of a %s with %d bytes, goes on at 4 GiB', (machine, bytes, low) => {
    const packed = layoutOf(bytes, 'packed', machine);
    expect(rangesOf(packed)).toEqual([
      [0, 0, low],
      [4 * GIB, low, bytes - low],
    ]);
    expect([packed.areRangesTold, packed.gap, packed.warnings]).toEqual([true, null, []]);
    // The same memory as a physical image, with the hole in it.
    const hole = 4 * GIB - low;
    const physical = layoutOf(bytes + hole, 'physical', machine);
    expect(physical.memoryMap).toEqual(packed.memoryMap);
    expect(physical.gap).toEqual({ page: low / PAGE_BYTES, pages: hole / PAGE_BYTES });
    expect(physical.warnings).toHaveLength(1);
  });

  test.each(['packed', 'physical'] as const)('%s and small is in one piece', (layout) => {
    for (const machine of ['pc', 'q35', 'microvm', null])
      expect(layoutOf(2 * GIB, layout, machine)).toEqual({
        memoryMap: flatMap((2 * GIB) / PAGE_BYTES),
        areRangesTold: true,
        gap: null,
        warnings: [],
      });
  });

  test('packed and large, of a machine that is not known, lies nobody knows where', () => {
    const { memoryMap, areRangesTold, warnings } = layoutOf(3 * GIB, 'packed', null);
    expect([memoryMap.ranges, areRangesTold]).toEqual([[], false]);
    expect(warnings).toEqual([expect.stringContaining('--machine')]);
  });

  test('physical without a machine has each page at its offset, whatever its size', () => {
    expect(layoutOf(5 * GIB, 'physical', null).memoryMap).toEqual(flatMap((5 * GIB) / PAGE_BYTES));
  });

  test.each([
    ['ends in the hole', 'pc', 3.75 * GIB],
    ['ends where the hole does', 'q35', 4 * GIB],
    ['has less above it than such a machine has', 'pc', 4.25 * GIB],
  ])('physical that %s is refused', (_, machine, bytes) => {
    let thrown: unknown = null;
    try {
      layoutOf(bytes, 'physical', machine);
    } catch (error) {
      thrown = error;
    }
    expect(isLedgerError(thrown) && thrown.code).toBe('SOURCE_SIZE');
    expect(String(thrown)).toContain('--layout packed');
  });

  test('loses the pages of its gap where bytes stand for pages', () => {
    const bytes = Uint8Array.of(1, 2, 3, 4, 5, 6);
    expect([...withoutGap(bytes, { page: 2, pages: 3 })]).toEqual([1, 2, 6]);
    expect(withoutGap(bytes, null)).toBe(bytes);
  });
});

describe('a file of memory', () => {
  let folder: TemporaryFolder;
  beforeAll(async () => {
    folder = await makeTemporaryFolder();
  });
  afterAll(() => folder.remove());

  test('with a hole is read on both sides of it', async () => {
    const path = join(folder.path, 'physical.raw');
    const high = stream.pageOf(7);
    const fd = openSync(path, 'w');
    ftruncateSync(fd, 6 * GIB);
    writeSync(fd, high, 0, PAGE_BYTES, 4 * GIB);
    closeSync(fd);
    const told = { layout: 'physical', machine: 'q35' } as const;
    const source = await valueOf(openImage({ path, timeMs: null, clock, told }));
    const { image, memoryMap, areRangesTold } = await valueOf(source.capture());
    expect([image.pageCount, areRangesTold]).toEqual([(4 * GIB) / PAGE_BYTES, true]);
    const at = gfnOfAddress(memoryMap, 4 * GIB);
    const gfn = at._tag === 'Right' ? at.right.gfn : -1;
    expect(gfn).toBe((2 * GIB) / PAGE_BYTES);
    const bytes = new Uint8Array(PAGE_BYTES);
    const { offsetBytes } = stretchOf(image, gfn, 1);
    readMemory(image.file, { bytes, at: 0, lengthBytes: PAGE_BYTES, offsetBytes });
    expect(bytes).toEqual(high);
    expect(source.warnings).toEqual([expect.stringContaining('0x80000000 to 0x100000000')]);
    source.close();
  });

  test('that says itself where its memory lies is told nothing', async () => {
    const path = join(folder.path, 'stream');
    const blocks = [{ name: 'pc.ram', pages: 1 }];
    writeFileSync(
      path,
      stream.bytesOf(stream.head(), stream.start(blocks), stream.end(), stream.tail()),
    );
    const told = { layout: 'packed', machine: null } as const;
    const failure = await failureOf(openImage({ path, timeMs: null, clock, told }));
    expect(failure.code).toBe('SOURCE_FORMAT');
    expect(failure.message).toContain('--layout');
  });
});
