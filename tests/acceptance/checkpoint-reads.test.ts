// Whoever reads a named point a part at a time reads its checkpoint's copies, and what lies in one storage
// block with what is asked for: a guest whose memory arrives, and whoever copies a disk. Compaction makes
// these reads no more.

import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { ArrivingGuest, DemandListener } from '../../domain/ports/arriving-guest.ts';
import { countReads, REGION_PAGES } from '../../domain/use-cases/layout/counted-reads.ts';
import { plainStorageEnds } from '../../domain/use-cases/layout/storage-block-numbers.ts';
import { ZERO } from '../../domain/values/holding.ts';
import { PAGE_BYTES } from '../../domain/values/page.ts';
import { readPoint } from '../../adapters/wiring/point-reader.ts';
import { serveOf } from '../../adapters/wiring/resume.ts';
import { ServedPoint } from '../../adapters/wiring/served-point.ts';
import { tableOf } from '../../adapters/wiring/vm-point.ts';
import { compact, isLedgerError, takeCheckpoint, type Ledger, type VmPoint } from '../../index.ts';
import { changeImage, makeImage } from '../support/images.ts';
import { recordImage, withLedger } from '../support/recorded-images.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../support/temporary-folder.ts';

const PAGES = 2048;
const CAPTURES = 6;
const TEXT = { zero: 0, text: 1, random: 0, repeated: 0, duplicate: 0 };
/** What is read: one region of four. */
const FIRST = 2 * REGION_PAGES;
const END = FIRST + REGION_PAGES;
/** Pages of a request of `nbdcopy`. */
const REQUEST_PAGES = 64;

const images: Uint8Array[] = [makeImage({ seed: 5, pages: PAGES })];
for (let seed = 1; seed < CAPTURES; seed += 1)
  images.push(changeImage(images.at(-1)!, { seed, changedPages: 40, mix: TEXT }));
const REGION = Buffer.from(images.at(-1)!).subarray(FIRST * PAGE_BYTES, END * PAGE_BYTES);

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

/** Asks for the pages that it lacks, one after the other, each when nothing more comes with the one before. */
class AskingGuest implements ArrivingGuest {
  readonly memory = new Uint8Array(images[0]!.length);
  readonly #has = new Uint8Array(PAGES);
  #listener: DemandListener | null = null;

  listen(listener: DemandListener): void {
    this.#listener = listener;
    this.ask();
  }

  ask(): void {
    const lacking = this.#has.indexOf(0, FIRST);
    if (lacking < END) this.#listener!.onDemand({ firstPage: lacking, count: 1 });
    else this.#listener!.onEnd(null);
  }

  give({ numbers, pages, zeros }: Parameters<ArrivingGuest['give']>[0]): Promise<void> {
    for (const [i, page] of Array.from(numbers).entries()) {
      this.#has[page] = 1;
      this.memory.set(pages.subarray(i * PAGE_BYTES, (i + 1) * PAGE_BYTES), page * PAGE_BYTES);
    }
    for (const page of Array.from(zeros)) this.#has[page] = 1;
    return Promise.resolve();
  }

  finish(): Promise<void> {
    return Promise.resolve();
  }

  leave(): void {
    this.#listener!.onEnd(null);
  }
}

interface Reads {
  /** Ranges that the store was asked for by a guest, and by who copies a disk. */
  readonly guest: number;
  readonly disk: number;
  /** Storage blocks of the region, as the planner counts them. */
  readonly planned: number;
}

/** Reads the region with a ledger that nobody read before, as a guest or as a disk; how often. */
async function countGets(read: (ledger: Ledger, point: VmPoint) => Promise<void>): Promise<number> {
  return withLedger({ url, mode: 'read' }, async (ledger) => {
    const { store } = ledger;
    const entry = ledger.vm('web');
    const point = { entry, row: ledger.resolve(entry, `@${CAPTURES}`) };
    const maps = new Set(entry.checkpoints.map(({ layout }) => layout?.map?.name));
    // Threads that read files themselves are not seen here.
    Object.defineProperty(store, 'fileOf', { value: undefined });
    const get = store.get.bind(store);
    let gets = 0;
    store.get = (range) => {
      if (!maps.has(range.name)) gets += 1;
      return get(range);
    };
    await read(ledger, point);
    return gets;
  });
}

async function readAsGuest(ledger: Ledger, point: VmPoint): Promise<void> {
  const serve = await serveOf(ledger, point);
  const guest = new AskingGuest();
  const { queue, served } = serve(guest);
  const near = queue.near.bind(queue);
  queue.near = () => {
    const next = near();
    if (next === null) setImmediate(() => guest.ask());
    return next;
  };
  await served;
  const region = guest.memory.subarray(FIRST * PAGE_BYTES, END * PAGE_BYTES);
  expect(Buffer.from(region).equals(REGION)).toBe(true);
}

async function readAsDisk(ledger: Ledger, point: VmPoint): Promise<void> {
  const waiting = { onAway: () => undefined, onBack: () => undefined };
  const served = await ServedPoint.open(ledger, { point, part: 'packed', waiting });
  const { signal } = new AbortController();
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < REGION_PAGES; at += REQUEST_PAGES)
    chunks.push(await served.read(FIRST + at, REQUEST_PAGES, signal));
  expect(Buffer.concat(chunks).equals(REGION)).toBe(true);
}

const planned = (): Promise<number> =>
  withLedger({ url, mode: 'read' }, async (ledger) => {
    const entry = ledger.vm('web');
    const point = { entry, row: ledger.resolve(entry, `@${CAPTURES}`) };
    const table = await tableOf(ledger, point, { isWhole: true });
    const { locator, storageEnds } = await readPoint(ledger, { point, table });
    const region = table.map((holding, page) => (page >= FIRST && page < END ? holding : ZERO));
    return countReads(locator, region, storageEnds(plainStorageEnds));
  });

const readsNow = async (): Promise<Reads> => ({
  guest: await countGets(readAsGuest),
  disk: await countGets(readAsDisk),
  planned: await planned(),
});

describe('the reads of a part of a point', () => {
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
  }, 60_000);
});
