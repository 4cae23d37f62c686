// A dump of LiME of a point: read again, it is the same memory at the same addresses.

import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { limeTarget } from '../../../../adapters/guests/dumps/lime-target.ts';
import { PAGE_BYTES } from '../../../../domain/values/page.ts';
import { limeDump } from '../../../support/guest/dump-bytes.ts';
import { DumpOpener, runAt } from '../../../support/guest/opened-dump.ts';
import {
  makeTemporaryFolder,
  type TemporaryFolder,
} from '../../../support/disks/temporary-folder.ts';

let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await makeTemporaryFolder();
});
afterAll(() => folder.remove());

const HIGH_PAGE = 2 ** 20;
const LOW = runAt(0, 5000, 3);
const HIGH = runAt(HIGH_PAGE, 300, 5);
LOW.bytes.fill(0, 4000 * PAGE_BYTES);
HIGH.bytes.fill(0, 299 * PAGE_BYTES);

const length = (pages: number): number => pages * PAGE_BYTES;
const memoryMap = {
  blocks: [{ name: 'ram', pages: 5300 }],
  ranges: [
    { address: 0, block: 'ram', offset: 0, length: length(5000) },
    { address: HIGH.address, block: 'ram', offset: length(5000), length: length(300) },
  ],
};

test('has a header for each range, whatever runs come, and zeros where none does', async () => {
  const parts: Buffer[] = [];
  const target = limeTarget(async (bytes) => void parts.push(Buffer.from(bytes)));
  await target.begin({ memoryMap, device: null });
  // The second run goes over the end of the first range.
  const memory = Buffer.concat([LOW.bytes, HIGH.bytes]);
  for (const [first, end] of [
    [0, 4000],
    [4990, 5100],
    [5100, 5299],
  ] as const)
    await target.write({ firstPage: first, pages: memory.subarray(length(first), length(end)) });
  await target.done();
  const dump = Buffer.concat(parts);
  expect(dump.equals(limeDump([LOW, HIGH]))).toBe(true);
  const { captured, memory: read } = await new DumpOpener(folder).opened(dump);
  expect(read.equals(memory)).toBe(true);
  expect(captured.memoryMap).toEqual(memoryMap);
});
