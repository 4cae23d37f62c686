// Whoever reads a named point a part at a time reads its checkpoint's copies, and what lies in one storage
// block with what is asked for: a guest whose memory arrives, and whoever copies a disk. Compaction makes
// these reads no more.

import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { countReads, REGION_PAGES } from '../../../domain/use-cases/layout/counted-reads.ts';
import { plainStorageEnds } from '../../../domain/use-cases/layout/storage-block-numbers.ts';
import { WindowPool } from '../../../domain/use-cases/serve/window-pool.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { readPoint } from '../../../adapters/wiring/points/point-reader.ts';
import { ServedPoint } from '../../../adapters/wiring/restore/served-point.ts';
import { tableOf } from '../../../adapters/wiring/ledger/vm-point.ts';
import {
  compact,
  isLedgerError,
  takeCheckpoint,
  type Ledger,
  type VmPoint,
} from '../../../index.ts';
import { countGets, servedMemory } from '../../support/clients/asking-guest.ts';
import { changeImage, makeImage } from '../../support/images.ts';
import { recordImage, withLedger } from '../../support/ledgers/recorded-images.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const PAGES = 2048;
const CAPTURES = 6;
const TEXT = { zero: 0, text: 1, random: 0, repeated: 0, duplicate: 0 };
/** What is read, each with a ledger that nobody read before. */
const REGIONS = Array.from({ length: PAGES / REGION_PAGES }, (_, i) => i * REGION_PAGES);
/** Pages of a request of `nbdcopy`. */
const REQUEST_PAGES = 64;

const images: Uint8Array[] = [makeImage({ seed: 5, pages: PAGES })];
for (let seed = 1; seed < CAPTURES; seed += 1)
  images.push(changeImage(images.at(-1)!, { seed, changedPages: 40, mix: TEXT }));
const regionOf = (memory: Uint8Array, first: number): Buffer =>
  Buffer.from(memory).subarray(first * PAGE_BYTES, (first + REGION_PAGES) * PAGE_BYTES);

let folder: TemporaryFolder;
let url: string;
beforeAll(async () => {
  folder = await makeTemporaryFolder();
  url = join(folder.path, 'ledger');
  await withLedger({ url, mode: 'create' }, async (ledger) => {
    for (const image of images)
      await recordImage(ledger, { vm: 'web', image, folder: folder.path });
  });
});
afterAll(() => folder.remove());

interface Reads {
  /** Ranges that the store was asked for by a guest, and by who copies a disk. */
  readonly guest: number;
  readonly disk: number;
  /** Storage blocks of the regions, as the planner counts them. */
  readonly planned: number;
}

/** Reads a region of a point. */
type ReadRegion = (ledger: Ledger, point: VmPoint, first: number) => Promise<Buffer>;

/** Reads every region with a ledger that nobody read before; how often. */
async function getsOf(read: ReadRegion): Promise<number> {
  let all = 0;
  for (const first of REGIONS)
    all += await withLedger({ url, mode: 'read' }, async (ledger) => {
      const entry = ledger.vm('web');
      const point = { entry, row: ledger.resolve(entry, `@${CAPTURES}`) };
      const maps = new Set(entry.checkpoints.map((row) => row.layout?.map?.name));
      const gets = countGets(ledger, maps);
      const found = await read(ledger, point, first);
      expect(found.equals(regionOf(images.at(-1)!, first))).toBe(true);
      return gets();
    });
  return all;
}

const readAsGuest: ReadRegion = async (ledger, point, first) => {
  const asked = Array.from({ length: REGION_PAGES }, (_, i) => first + i);
  return regionOf(await servedMemory(ledger, point, { pageCount: PAGES, asked }), first);
};

const readAsDisk: ReadRegion = async (ledger, point, first) => {
  const waiting = { onAway: () => undefined, onBack: () => undefined };
  const served = await ServedPoint.open(ledger, {
    point,
    part: 'packed',
    waiting,
    windows: new WindowPool(),
  });
  const { signal } = new AbortController();
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < REGION_PAGES; at += REQUEST_PAGES)
    chunks.push((await served.read(first + at, REQUEST_PAGES, signal)).bytes);
  return Buffer.concat(chunks);
};

const planned = (): Promise<number> =>
  withLedger({ url, mode: 'read' }, async (ledger) => {
    const entry = ledger.vm('web');
    const point = { entry, row: ledger.resolve(entry, `@${CAPTURES}`) };
    const table = await tableOf(ledger, point, { isWhole: true });
    const { locator, storageEnds } = await readPoint(ledger, { point, table });
    return countReads(locator, table, { endsOf: storageEnds(plainStorageEnds) });
  });

const readsNow = async (): Promise<Reads> => ({
  guest: await getsOf(readAsGuest),
  disk: await getsOf(readAsDisk),
  planned: await planned(),
});

describe('the reads of parts of a point', () => {
  test('become fewer when it is laid out, as planned, and no more when it is compacted', async () => {
    const before = await readsNow();
    await withLedger({ url, mode: 'write' }, async (ledger) => {
      const taken = await takeCheckpoint(ledger, { vm: 'web', name: 'named', capture: CAPTURES });
      if (isLedgerError(taken)) throw taken;
      expect(taken.pages).toBeGreaterThan(0);
    });
    const laidOut = await readsNow();
    await withLedger({ url, mode: 'write' }, (ledger) =>
      compact(ledger, { graceMs: 0, isDryRun: false }),
    );
    const compacted = await readsNow();
    expect(laidOut.planned).toBeLessThan(before.planned);
    const promised = laidOut.planned / before.planned;
    expect(laidOut.disk / before.disk).toBeLessThan(promised + 0.1);
    // A block that is asked for is read before its storage block is: about half of its reads.
    expect(laidOut.guest / before.guest).toBeLessThan((1 + promised) / 2 + 0.05);
    expect(compacted.guest).toBeLessThanOrEqual(laidOut.guest);
    expect(compacted.disk).toBeLessThanOrEqual(laidOut.disk);
  }, 180_000);
});
