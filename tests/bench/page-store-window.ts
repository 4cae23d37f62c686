// Packs in a real S3 server, read through the cache: how large are the windows best? The reads are those
// of restoring a point, all of it and a tenth of it at random places, as a guest that runs at once asks
// for it. Against the same reads of local packs. And packs put and got whole, against the same requests
// without a page store.

import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import * as taskEither from 'fp-ts/lib/TaskEither.js';
import type { TaskEither } from 'fp-ts/lib/TaskEither.js';
import { nodeFiles } from '../../adapters/files/files.ts';
import { cachePages } from '../../adapters/stores/page-store-cached/cached-pages.ts';
import { openPagePacks } from '../../adapters/stores/page-store-folder/page-packs.ts';
import { openS3PageStore } from '../../adapters/stores/page-store-s3/page-store-s3.ts';
import type { S3PageStore } from '../../adapters/stores/page-store-s3/page-store-s3.ts';
import { assert } from '../../domain/values/assert.ts';
import type { PageStore } from '../../domain/ports/page-store.ts';
import { restoreToFile, type Ledger } from '../../index.ts';
import { seededRandom } from '../support/images.ts';
import { gather, valueOf } from '../support/outcomes.ts';
import {
  startS3Server,
  TEST_CREDENTIALS,
  whyNoS3,
  type S3Server,
} from '../support/s3-server/s3-process.ts';
import { MIB, type Bench, type BenchContext } from './bench.ts';
import { changedImage } from './changed-image.ts';
import { freshFolder, guestImage, record, withLedger } from './ledgers.ts';
import { figureOf, rowOf, sampled, secondsOf, type Row } from './measure.ts';

const KIB = 1024;
const WINDOWS_KIB = [16, 64, 256, 1024, 4096];
const CAPTURES = 4;
/** Reads at once: as many as restoring with two threads has under way. */
const UNDER_WAY = 5;
/** What a guest waits for: a stretch of a pack that holds the page it asked for. */
const BLOCK_BYTES = 64 * KIB;
/** A server elsewhere: this is added to every request. */
const FAR_MS = 30;

type Range = Parameters<PageStore['get']>[0];
type RawRequest = Parameters<S3Server['raw']['request']>[0];

/** What the restoring of a point reads of the store. */
async function readsOf(ledger: Ledger, target: string): Promise<Range[]> {
  const ranges: Range[] = [];
  const { store } = ledger;
  const unwatched = { ...store };
  Object.assign(store, {
    // Threads would read files themselves.
    fileOf: undefined,
    get: (range: Range) => {
      ranges.push(range);
      return unwatched.get(range);
    },
  });
  const entry = ledger.vm('guest');
  const row = ledger.resolve(entry, `@${CAPTURES}`);
  await restoreToFile(ledger, { entry, row }, { path: target, isForced: true, format: 'raw' });
  rmSync(target);
  Object.assign(store, unwatched);
  assert(ranges.length > 0, 'restoring reads of the store');
  return ranges;
}

/** A tenth of what is read, in short runs of blocks at random places. */
function scattered(ranges: readonly Range[]): Range[] {
  const random = seededRandom(3);
  const found: Range[] = [];
  let bytes = ranges.reduce((sum, range) => sum + range.lengthBytes, 0) / 10;
  while (bytes > 0) {
    const { name, offsetBytes, lengthBytes } = ranges[random(ranges.length)]!;
    const blocks = Math.ceil(lengthBytes / BLOCK_BYTES);
    const first = random(blocks);
    for (let block = first; block < Math.min(first + 3, blocks); block += 1) {
      const at = block * BLOCK_BYTES;
      const length = Math.min(BLOCK_BYTES, lengthBytes - at);
      found.push({ name, offsetBytes: offsetBytes + at, lengthBytes: length });
      bytes -= length;
    }
  }
  return found;
}

/** Seconds of all the reads, several under way. */
const secondsToRead = (store: PageStore, ranges: readonly Range[]): Promise<number> =>
  secondsOf(async () => {
    let next = 0;
    const worker = async (): Promise<void> => {
      for (let range = ranges[next]; range !== undefined; range = ranges[next]) {
        next += 1;
        const bytes = await valueOf(store.get(range));
        assert(bytes.length === range.lengthBytes, 'a read gives what was asked');
      }
    };
    await Promise.all(Array.from({ length: UNDER_WAY }, worker));
  });

const delay: TaskEither<never, void> = taskEither.fromTask(
  () => new Promise<void>((resolve) => void setTimeout(resolve, FAR_MS)),
);

/** The store, as if every request took longer. */
const farAway = (store: S3PageStore): S3PageStore => ({
  ...store,
  get: (range) => taskEither.tap(store.get(range), () => delay),
  find: (range) => taskEither.tap(store.find(range), () => delay),
});

const whereText = (isFar: boolean): string => (isFar ? `, ${FAR_MS} ms away` : '');

interface Places {
  readonly context: BenchContext;
  readonly local: PageStore;
  readonly bucket: S3PageStore;
  readonly samples: number;
}

interface Pattern {
  readonly what: string;
  readonly ranges: readonly Range[];
  readonly isFar: boolean;
}

/** Each read by a request of its own. */
async function uncachedRow(
  { context, local, bucket, samples }: Places,
  { what, ranges, isFar }: Pattern,
): Promise<Row> {
  context.tell(`${what} without a cache${whereText(isFar)}`);
  const store = isFar ? farAway(bucket) : bucket;
  const limits: number[] = [];
  const times = await sampled(samples, async () => {
    limits.push(await secondsToRead(local, ranges));
    return secondsToRead(store, ranges);
  });
  const bytes = ranges.reduce((sum, range) => sum + range.lengthBytes, 0);
  return rowOf({
    what: `${what}, without a cache${whereText(isFar)}`,
    measured: figureOf(times, 's'),
    limit: { what: 'local packs', figure: figureOf(limits, 's') },
    note: `${ranges.length} requests, ${(bytes / MIB).toFixed(1)} MiB fetched`,
  });
}

/** Reads through a cache that is empty, and once more when it is not. */
async function windowRow(
  { context, local, bucket, samples }: Places,
  { what, ranges, isFar }: Pattern,
  windowKib: number,
): Promise<Row> {
  const where = whereText(isFar);
  context.tell(`${what} by ${windowKib} KiB${where}`);
  const store = isFar ? farAway(bucket) : bucket;
  let note = '';
  const limits: number[] = [];
  const times = await sampled(samples, async () => {
    const folder = freshFolder(context, 'window-cache');
    const open = () =>
      cachePages({
        store,
        files: nodeFiles,
        folder,
        bytesMax: 2 ** 34,
        windowBytes: windowKib * KIB,
      });
    const cache = open();
    const seconds = await secondsToRead(cache, ranges);
    await cache.close();
    const { requests, bytesFetched } = cache.stats();
    const again = open();
    const againSeconds = await secondsToRead(again, ranges);
    await again.close();
    assert(again.stats().requests === 0, 'what was read once is read from the cache');
    limits.push(await secondsToRead(local, ranges));
    note = `${requests} requests, ${(bytesFetched / MIB).toFixed(1)} MiB fetched; again from the cache ${againSeconds.toFixed(3)} s`;
    return seconds;
  });
  return rowOf({
    what: `${what}, windows of ${windowKib} KiB${where}`,
    measured: figureOf(times, 's'),
    limit: { what: 'local packs', figure: figureOf(limits, 's') },
    note,
  });
}

interface LoadedPack {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** MB/s of work on each of the packs, so many at once. */
async function packRate(
  packs: readonly LoadedPack[],
  atOnce: number,
  work: (pack: LoadedPack) => Promise<unknown>,
): Promise<number> {
  const bytes = packs.reduce((sum, pack) => sum + pack.bytes.length, 0);
  const seconds = await secondsOf(async () => {
    for (let i = 0; i < packs.length; i += atOnce)
      await Promise.all(packs.slice(i, i + atOnce).map((pack) => work(pack)));
  });
  return bytes / seconds / 1e6;
}

/** Packs put and got whole, and the same requests by the least that makes them. */
async function wholeRows(
  { context, bucket, samples }: Places,
  packs: readonly LoadedPack[],
  request: (request: RawRequest) => Promise<{ readonly status: number }>,
): Promise<Row[]> {
  const rows: Row[] = [];
  const whole = ({ name, bytes }: LoadedPack) =>
    bucket.get({ name, offsetBytes: 0, lengthBytes: bytes.length });
  const expectStatus = async (raw: RawRequest, status: number): Promise<void> => {
    assert((await request(raw)).status === status, 'a raw request succeeds');
  };
  const pathOf = ({ name }: LoadedPack): string => `raw/${name}`;
  for (const atOnce of [1, 4]) {
    context.tell(`whole packs, ${atOnce} at once`);
    const rates: Record<'put' | 'rawPut' | 'get' | 'rawGet', number[]> = {
      put: [],
      rawPut: [],
      get: [],
      rawGet: [],
    };
    for (let sample = 0; sample < samples; sample += 1) {
      const rate = (work: (pack: LoadedPack) => Promise<unknown>) => packRate(packs, atOnce, work);
      rates.put.push(await rate((pack) => valueOf(bucket.put(pack))));
      rates.rawPut.push(
        await rate((pack) =>
          expectStatus({ method: 'PUT', path: pathOf(pack), body: pack.bytes }, 200),
        ),
      );
      rates.get.push(await rate((pack) => valueOf(whole(pack))));
      rates.rawGet.push(
        await rate((pack) => expectStatus({ method: 'GET', path: pathOf(pack) }, 200)),
      );
    }
    for (const [what, measured, limit] of [
      ['put', rates.put, rates.rawPut],
      ['get', rates.get, rates.rawGet],
    ] as const)
      rows.push(
        rowOf({
          what: `${what} ${packs.length} packs, ${atOnce} at once`,
          measured: figureOf(measured, 'MB/s'),
          limit: { what: `raw ${what.toUpperCase()}`, figure: figureOf(limit, 'MB/s') },
        }),
      );
  }
  return rows;
}

/** Records captures into a ledger of its own: its packs' folder, and what restoring the last reads. */
async function recordedReads(context: BenchContext, mebibytes: number) {
  const base = guestImage(context, mebibytes);
  const changedPages = (mebibytes * MIB) / 2 ** 16;
  const files = Array.from({ length: CAPTURES }, (_, seed) =>
    seed === 0 ? base : changedImage(context, { base, seed: 100 + seed, changedPages }),
  );
  const folder = freshFolder(context, 'window-ledger');
  let ranges: Range[] = [];
  await withLedger({ folder }, async (ledger) => {
    await record(ledger, { vm: 'guest', files });
    ranges = await readsOf(ledger, join(context.folder, 'window-restored.raw'));
  });
  return { ranges, packsFolder: join(folder, 'packs') };
}

async function withServer<A>(work: (server: S3Server, bucket: string) => Promise<A>): Promise<A> {
  const server = await startS3Server();
  try {
    return await work(server, await server.makeBucket());
  } finally {
    await server.remove();
  }
}

async function run(context: BenchContext): Promise<readonly Row[]> {
  const why = whyNoS3();
  assert(why === null, `the bench has an S3 server: ${why}`);
  const samples = context.isQuick ? 1 : 5;
  const { ranges, packsFolder } = await recordedReads(context, context.isQuick ? 16 : 256);
  const local = openPagePacks({ files: nodeFiles, folder: packsFolder });
  const packs = (await gather(local.list())).map(({ name }) => ({
    name,
    bytes: readFileSync(join(packsFolder, name.slice(0, 2), name)),
  }));
  return withServer(async (server, bucketName) => {
    const credentials = () => Promise.resolve(TEST_CREDENTIALS);
    const bucket = openS3PageStore({ url: server.url(bucketName), credentials });
    const places: Places = { context, local, bucket, samples };
    const rows = await wholeRows(places, packs, (request) =>
      server.raw.request({ ...request, path: `/${bucketName}/${request.path}` }),
    );
    for (const isFar of [false, true])
      for (const pattern of [
        { what: 'all of a point', ranges, isFar },
        { what: 'a tenth of a point', ranges: scattered(ranges), isFar },
      ]) {
        rows.push(await uncachedRow(places, pattern));
        for (const windowKib of WINDOWS_KIB) rows.push(await windowRow(places, pattern, windowKib));
      }
    await bucket.close();
    await local.close();
    return rows;
  });
}

export const pageStoreWindow: Bench = {
  name: 'page-store-window',
  title: 'Packs in an object store',
  isPeer: true,
  run,
};
