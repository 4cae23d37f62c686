// A series of images recorded into a ledger that hosts share, its log on EventStoreDB and its packs in
// a bucket, and a point of it restored, with nothing in the host's cache and with everything. Against
// the same packs put and got by the least that makes the requests, and against a ledger in a folder.

import { randomBytes } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { assert } from '../../domain/values/assert.ts';
import { PAGE_BYTES } from '../../domain/values/page.ts';
import { openLedger, restoreToFile, type Ledger } from '../../index.ts';
import { MIB, type Bench, type BenchContext } from './bench.ts';
import { changedImage } from './changed-image.ts';
import { closing, diskBytes, freshFolder, guestImage, record, withLedger } from './ledgers.ts';
import { figureOf, rowOf, secondsOf, type Row } from './measure.ts';
import { withServers, type Servers } from './servers.ts';

const VM = 'guest';
const UNIT = 'MB/s of memory';
const CAPTURES = 4;
/** Of a capture's pages, those that are new since the one before. */
const CHANGED_OF = 4;
/** Puts that a recorder has under way. */
const PUTS_AT_ONCE = 2;
/** Reads that a restoring with two threads has under way. */
const GETS_AT_ONCE = 5;
const SEED = 200;

interface LoadedPack {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** Where the bench's ledgers lie, and what is recorded. */
interface Setting extends Servers {
  readonly context: BenchContext;
  readonly files: readonly string[];
}

/** Seconds of each thing that is timed. */
interface Times {
  readonly record: number[];
  readonly recordInFolder: number[];
  readonly put: number[];
  readonly cold: number[];
  readonly warm: number[];
  readonly restoreInFolder: number[];
  readonly get: number[];
}

const noTimes = (): Times => ({
  record: [],
  recordInFolder: [],
  put: [],
  cold: [],
  warm: [],
  restoreInFolder: [],
  get: [],
});

/** The ledgers' packs in a folder, whole. */
async function packsOf(ledger: Ledger, folder: string): Promise<LoadedPack[]> {
  const packs: LoadedPack[] = [];
  for await (const { name } of ledger.store.list())
    packs.push({ name, bytes: readFileSync(join(folder, 'packs', name.slice(0, 2), name)) });
  return packs;
}

/** Does the work on each of the packs, so many at once. */
async function eachPack(
  { packs, atOnce }: { readonly packs: readonly LoadedPack[]; readonly atOnce: number },
  work: (pack: LoadedPack) => Promise<void>,
): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let pack = packs[next]; pack !== undefined; pack = packs[next]) {
      next += 1;
      await work(pack);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

/** Seconds of the packs put, and of them got, without a page store. */
async function rawSeconds(
  { s3, bucket }: Setting,
  packs: readonly LoadedPack[],
): Promise<{ readonly put: number; readonly get: number }> {
  const folder = `/${bucket}/raw-${randomBytes(6).toString('hex')}`;
  const put = await secondsOf(() =>
    eachPack({ packs, atOnce: PUTS_AT_ONCE }, async ({ name, bytes }) => {
      const path = `${folder}/${name}`;
      const answer = await s3.raw.request({ method: 'PUT', path, body: bytes });
      assert(answer.status === 200, 'a raw PUT succeeds');
    }),
  );
  const get = await secondsOf(() =>
    eachPack({ packs, atOnce: GETS_AT_ONCE }, async ({ name, bytes }) => {
      const answer = await s3.raw.request({ method: 'GET', path: `${folder}/${name}` });
      assert(answer.body.equals(bytes), 'a raw GET gives what was put');
    }),
  );
  return { put, get };
}

/** Seconds of restoring the last capture; what is restored is what was recorded. */
async function restoreSeconds({ context, files }: Setting, ledger: Ledger): Promise<number> {
  const path = join(context.folder, 'object-store-restored.raw');
  const entry = ledger.vm(VM);
  const row = ledger.resolve(entry, 'latest');
  const seconds = await secondsOf(() =>
    restoreToFile(ledger, { entry, row }, { path, isForced: false, format: 'raw' }),
  );
  assert(readFileSync(path).equals(readFileSync(files.at(-1)!)), 'a point restores byte-equal');
  rmSync(path);
  return seconds;
}

const recordSeconds = ({ files }: Setting, ledger: Ledger): Promise<number> =>
  secondsOf(() => record(ledger, { vm: VM, files }));

/** The ledger in a folder: recorded, restored, and the same packs without a page store. */
async function sampleFolder(setting: Setting, times: Times): Promise<readonly LoadedPack[]> {
  const folder = freshFolder(setting.context, 'object-store-folder');
  const packs = await withLedger({ folder }, async (ledger) => {
    times.recordInFolder.push(await recordSeconds(setting, ledger));
    times.restoreInFolder.push(await restoreSeconds(setting, ledger));
    return packsOf(ledger, folder);
  });
  const { put, get } = await rawSeconds(setting, packs);
  times.put.push(put);
  times.get.push(get);
  return packs;
}

/** A ledger of its own on the servers: recorded, restored twice. Bytes that the cache then has. */
async function sampleShared(setting: Setting, times: Times): Promise<number> {
  const { context, server, s3, bucket } = setting;
  const stateFolder = freshFolder(context, 'object-store-host');
  const prefix = `ledger-${randomBytes(6).toString('hex')}`;
  const place = { url: server.freshUrl(), pageStore: s3.url(bucket, prefix), stateFolder };
  const cache = await closing(await openLedger({ ...place, mode: 'create' }), async (ledger) => {
    times.record.push(await recordSeconds(setting, ledger));
    return join(dirname(ledger.local.projections), 'cache');
  });
  // What a recorder puts is not kept, but what it read to compare is.
  rmSync(cache, { recursive: true, force: true });
  return closing(await openLedger({ ...place, mode: 'write' }), async (ledger) => {
    // As where a recording was made just before: the engine's start is not in the time.
    assert(await ledger.useKeyAtHand('default'), "the host has its own group's key");
    times.cold.push(await restoreSeconds(setting, ledger));
    const cachedBytes = diskBytes(cache);
    times.warm.push(await restoreSeconds(setting, ledger));
    return cachedBytes;
  });
}

function rowsOf(
  setting: Setting,
  times: Times,
  of: { readonly packs: readonly LoadedPack[]; readonly cachedBytes: number },
): Row[] {
  const { files, server } = setting;
  const imageBytes = readFileSync(files[0]!).length;
  const packBytes = of.packs.reduce((sum, { bytes }) => sum + bytes.length, 0);
  const rates = (seconds: readonly number[], images: number) =>
    figureOf(
      seconds.map((second) => (images * imageBytes) / second / 1e6),
      UNIT,
    );
  const row = (
    what: string,
    images: number,
    { measured, limit }: { measured: readonly number[]; limit: readonly [string, number[]] },
    note?: string,
  ): Row =>
    rowOf({
      what,
      measured: rates(measured, images),
      limit: { what: limit[0], figure: rates(limit[1], images) },
      ...(note === undefined ? {} : { note }),
    });
  const inFolder = 'the ledger in a folder';
  const rate = (seconds: readonly number[]): string =>
    `${figureOf(
      seconds.map((second) => packBytes / second / 1e6),
      'MB/s',
    ).median.toFixed(0)} MB/s of packs`;
  const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
  const put = `PUT of its ${of.packs.length} packs, ${PUTS_AT_ONCE} at once`;
  const get = `GET of all packs, ${GETS_AT_ONCE} at once`;
  const recording = `record ${CAPTURES} images, log on ${server.label}, packs in a bucket`;
  const cold = 'restore the last, nothing in the cache';
  return [
    row(
      recording,
      CAPTURES,
      { measured: times.record, limit: [put, times.put] },
      `packs of ${megabytes(packBytes)}: ${rate(times.record)}, and put alone ${rate(times.put)}`,
    ),
    row(recording, CAPTURES, { measured: times.record, limit: [inFolder, times.recordInFolder] }),
    row(
      cold,
      1,
      { measured: times.cold, limit: [get, times.get] },
      `${megabytes(of.cachedBytes)} came into the cache; got alone ${rate(times.get)}`,
    ),
    row(cold, 1, { measured: times.cold, limit: [inFolder, times.restoreInFolder] }),
    row('restore the last, all of it in the cache', 1, {
      measured: times.warm,
      limit: [inFolder, times.restoreInFolder],
    }),
  ];
}

/** A guest's memory, and again with a part of its pages new each time. */
function imagesOf(context: BenchContext): string[] {
  const mebibytes = context.isQuick ? 16 : 128;
  const base = guestImage(context, mebibytes);
  const changedPages = (mebibytes * MIB) / PAGE_BYTES / CHANGED_OF;
  return Array.from({ length: CAPTURES }, (_, i) =>
    i === 0 ? base : changedImage(context, { base, seed: SEED + i, changedPages }),
  );
}

async function measure(setting: Setting): Promise<readonly Row[]> {
  const { context } = setting;
  const count = context.isQuick ? 2 : 5;
  let times = noTimes();
  let packs: readonly LoadedPack[] = [];
  let cachedBytes = 0;
  for (let sample = -1; sample < count; sample += 1) {
    context.tell(sample < 0 ? 'warming up' : `sample ${sample + 1} of ${count}`);
    packs = await sampleFolder(setting, times);
    cachedBytes = await sampleShared(setting, times);
    if (sample < 0) times = noTimes();
  }
  return rowsOf(setting, times, { packs, cachedBytes });
}

function run(context: BenchContext): Promise<readonly Row[]> {
  const files = imagesOf(context);
  return withServers((servers) => measure({ context, ...servers, files }));
}

export const objectStore: Bench = {
  name: 'object-store',
  title: 'Recording and restoring through an object store',
  isPeer: true,
  run,
};
