// A point that is served from a ledger that its server cannot write is held by nothing: others compact
// meanwhile, and what it still reads lies elsewhere, or is gone.

import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Exports } from '../../../adapters/faces/nbd/exports.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { compact, forgetPoints, openLedger, type Ledger } from '../../../index.ts';
import { makeImage } from '../../support/images.ts';
import { recordFiles, withLedger, writeImages } from '../../support/ledgers/recorded-images.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const PAGES = 96;
const MIX = { zero: 0, text: 0.5, random: 0.5, repeated: 0, duplicate: 0 };
/** Half of each image is of the one before: what is kept lies in packs of which much goes. */
const IMAGES: Uint8Array[] = [];
for (const seed of [1, 2, 3, 4]) {
  const image = makeImage({ seed, pages: PAGES, mix: MIX });
  image.set(IMAGES.at(-1)?.subarray(0, (PAGES / 2) * PAGE_BYTES) ?? []);
  IMAGES.push(image);
}
const NEVER = new AbortController().signal;
const NOW = { graceMs: 0, isDryRun: false } as const;

let folder: TemporaryFolder;
let url: string;
let reader: Ledger;
const told: string[] = [];

beforeEach(async () => {
  told.length = 0;
  folder = await makeTemporaryFolder();
  url = join(folder.path, 'ledger');
  const files = writeImages({ folder: folder.path, name: 'image', images: IMAGES });
  await withLedger({ url, mode: 'create' }, (ledger) => recordFiles(ledger, { vm: 'web', files }));
  reader = await openLedger({ url, mode: 'read', threads: 0 });
});
afterEach(async () => {
  await reader.close();
  await folder.remove();
});

/** Opens a point as a server does that cannot write the ledger. */
async function served(name: string) {
  const exports = new Exports({
    ledger: reader,
    vm: 'web',
    listed: 'named',
    use: { kind: 'server', restored: { how: 'nbd' } },
    waiting: { onAway: ({ code }) => told.push(code), onBack: () => told.push('back') },
  });
  const opened = await exports.open(name);
  await opened.hold();
  return opened.served;
}

const compacted = (keep: readonly number[]): Promise<number> =>
  withLedger({ url, mode: 'write' }, async (ledger) => {
    const captures = [1, 2, 3].filter((capture) => !keep.includes(capture));
    await forgetPoints(ledger, { vm: 'web', at: captures.map((capture) => `@${capture}`) });
    const { deleted } = await compact(ledger, NOW);
    return deleted.packs;
  });

test.each([
  ['on the caller’s thread', 4],
  ['on the threads of the engine', PAGES],
])('what was moved is read where it lies now, %s', async (_where, pages) => {
  const point = await served('@3');
  expect(await compacted([3])).toBeGreaterThan(0);
  for (let page = 0; page < PAGES; page += pages) {
    const { bytes } = await point.read(page, pages, NEVER);
    const [from, to] = [page * PAGE_BYTES, (page + pages) * PAGE_BYTES];
    expect(Buffer.compare(bytes, IMAGES[2]!.subarray(from, to))).toBe(0);
  }
  expect(told).toEqual([]);
});

test('what was moved again and again is read where it lies now', async () => {
  const point = await served('@4');
  for (const keep of [[2, 3], [3], []]) await compacted(keep);
  expect(Buffer.compare((await point.read(0, PAGES, NEVER)).bytes, IMAGES[3]!)).toBe(0);
  expect(told).toEqual([]);
});

test('what is gone is an error, and waited for by nobody', async () => {
  const point = await served('@1');
  expect(await compacted([])).toBeGreaterThan(0);
  await expect(point.read(PAGES / 2 + 1, 1, NEVER)).rejects.toMatchObject({
    code: 'POINT_DAMAGED',
  });
  expect(told).toEqual([]);
});
