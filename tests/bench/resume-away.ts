// A guest started from a point whose packs lie in a bucket that is a round trip away, with nothing of it in
// the host's cache: how long until it runs and until it says something, with how many requests, and what a
// trace of an earlier start is good for there: of one that was given storage blocks, and of one that was
// given single pages. The bucket is a real S3 server behind a link that delays.

import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { nodeFiles } from '../../adapters/files/files.ts';
import { toolsAtHand } from '../../adapters/guests/demo-guest/tools.ts';
import { cachePages } from '../../adapters/stores/page-store-cached/cached-pages.ts';
import { openS3PageStore } from '../../adapters/stores/page-store-s3/page-store-s3.ts';
import { openPagePacks } from '../../adapters/stores/page-store-folder/page-packs.ts';
import { assert } from '../../domain/values/assert.ts';
import { openLedger, type Ledger } from '../../index.ts';
import { gather, valueOf } from '../support/outcomes.ts';
import { startS3Server, TEST_CREDENTIALS, whyNoS3 } from '../support/s3-server/s3-process.ts';
import { MIB, type Bench, type BenchContext } from './bench.ts';
import { startDelayedLink } from './delayed-link.ts';
import { closing, freshFolder } from './ledgers.ts';
import { figureOf, rowOf, type Row } from './measure.ts';
import { recordedGuest, type RecordedGuest } from './resume-guests.ts';
import { newest, servedStart, type ServedRequest, type ServedStart } from './served-starts.ts';

const AWAY_MS = 30;
const VM_SIZE = { mebibytes: 256, fillMebibytes: 120 };
const QUICK_SIZE = { mebibytes: 96, fillMebibytes: 8 };
/** As `resume` gives pages. */
const AS_RESUMED = { blockPages: 4, storagePages: 128 };
const BY_ITSELF = { blockPages: 1, storagePages: 0 };
const CACHE_BYTES = 2 ** 34;

type S3 = ReturnType<typeof openS3PageStore>;

/** A start, and what was asked of the bucket for it. */
interface FarStart extends ServedStart {
  readonly requests: number;
  readonly bytesFetched: number;
}

interface Setting {
  readonly context: BenchContext;
  readonly guest: RecordedGuest;
  readonly ledger: Ledger;
  readonly bucket: S3;
}

/** What is given before it is asked for. */
type Ahead = Pick<ServedRequest, 'prefetch' | 'isPrefetchWhole'>;

async function farStart(
  { context, guest, ledger, bucket }: Setting,
  ahead: Ahead = {},
): Promise<FarStart> {
  const cache = cachePages({
    store: bucket,
    files: nodeFiles,
    folder: freshFolder(context, 'away-cache'),
    bytesMax: CACHE_BYTES,
  });
  try {
    const request = { guest, ledger, point: newest(ledger), store: cache, ...AS_RESUMED };
    const start = await servedStart({ ...request, ...ahead });
    const { requests, bytesFetched } = cache.stats();
    return { ...start, requests, bytesFetched };
  } finally {
    await cache.close();
  }
}

async function putAll({ url }: RecordedGuest, bucket: S3): Promise<void> {
  const folder = join(url, 'packs');
  const local = openPagePacks({ files: nodeFiles, folder });
  for (const { name } of await gather(local.list()))
    await valueOf(bucket.put({ name, bytes: readFileSync(join(folder, name.slice(0, 2), name)) }));
  await local.close();
}

function rowsOf(what: string, far: readonly FarStart[], near: readonly ServedStart[]): Row[] {
  const of = (value: (start: FarStart) => number, unit: string) => figureOf(far.map(value), unit);
  const asked = of(({ requests }) => requests, 'requests').median;
  const fetched = of(({ bytesFetched }) => bytesFetched / MIB, 'MiB').median;
  const limit = 'its packs in a folder';
  return [
    rowOf({
      what: `${what}: until it runs`,
      measured: of(({ runsMs }) => runsMs, 'ms'),
      limit: {
        what: limit,
        figure: figureOf(
          near.map(({ runsMs }) => runsMs),
          'ms',
        ),
      },
    }),
    rowOf({
      what: `${what}: until its first line`,
      measured: of(({ lineMs }) => lineMs, 'ms'),
      limit: {
        what: limit,
        figure: figureOf(
          near.map(({ lineMs }) => lineMs),
          'ms',
        ),
      },
      note: `by then ${asked} requests of the bucket, ${fetched.toFixed(1)} MiB, and ${of(({ counts }) => counts.demanded, 'pages').median} pages waited for`,
    }),
  ];
}

async function startsOf(setting: Setting): Promise<Row[]> {
  const { context, guest, ledger } = setting;
  const first: FarStart[] = [];
  const traced: FarStart[] = [];
  const whole: FarStart[] = [];
  const near: Record<'first' | 'traced' | 'whole', ServedStart[]> = {
    first: [],
    traced: [],
    whole: [],
  };
  const request = { guest, ledger, point: newest(ledger), ...AS_RESUMED };
  const { demanded } = await servedStart({ ...request, ...BY_ITSELF });
  const told = { prefetch: Uint32Array.from(new Set(demanded)), isPrefetchWhole: true };
  for (let round = 0; round < (context.isQuick ? 1 : 4); round += 1) {
    context.tell(`round ${round + 1}`);
    first.push(await farStart(setting));
    const trace = Uint32Array.from(new Set(first.at(-1)!.demanded));
    traced.push(await farStart(setting, { prefetch: trace }));
    whole.push(await farStart(setting, told));
    near.first.push(await servedStart(request));
    near.traced.push(await servedStart({ ...request, prefetch: trace }));
    near.whole.push(await servedStart({ ...request, ...told }));
  }
  const of = `a guest of ${guest.mebibytes} MiB, its packs ${AWAY_MS} ms away`;
  return [
    ...rowsOf(`${of}, no trace`, first, near.first),
    ...rowsOf(`${of}, a trace of one start`, traced, near.traced),
    ...rowsOf(`${of}, a trace of single pages (--trace)`, whole, near.whole),
  ];
}

async function run(context: BenchContext): Promise<readonly Row[]> {
  const tools = toolsAtHand();
  if (tools === null) {
    context.tell('no guest can run here: QEMU, busybox or a kernel is missing');
    return [];
  }
  const why = whyNoS3();
  assert(why === null, `the bench has an S3 server: ${why}`);
  const size = context.isQuick ? QUICK_SIZE : VM_SIZE;
  const guest = await recordedGuest(context, { tools, size });
  const server = await startS3Server();
  const link = await startDelayedLink(Number(new URL(server.endpoint).port), AWAY_MS);
  try {
    const name = await server.makeBucket();
    const credentials = () => Promise.resolve(TEST_CREDENTIALS);
    const atOnce = openS3PageStore({ url: server.url(name), credentials });
    await putAll(guest, atOnce);
    await atOnce.close();
    const url = server.url(name).replace(server.endpoint, `http://127.0.0.1:${link.port}`);
    const bucket = openS3PageStore({ url, credentials });
    // Only read: what was asked for once would be given first the next time.
    const ledger = await openLedger({ url: guest.url, mode: 'read' });
    const rows = await closing(ledger, (open) =>
      startsOf({ context, guest, ledger: open, bucket }),
    );
    await bucket.close();
    return rows;
  } finally {
    link.stop();
    await server.remove();
    rmSync(join(guest.url, '..'), { recursive: true });
  }
}

export const resumeAway: Bench = {
  name: 'resume-away',
  title: 'Guests started from a bucket that is away',
  isPeer: true,
  run,
};
