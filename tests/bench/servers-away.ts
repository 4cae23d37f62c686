// Small captures onto a log and a bucket that are a round trip away, beside a ledger in a folder: what
// the distance costs a capture, and how many round trips that makes. The log is the double of
// EventStoreDB in the bench's process, the bucket a real S3 server; each behind a link that delays.

import { randomBytes } from 'node:crypto';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { openLedger, type Ledger } from '../../index.ts';
import type { Bench, BenchContext } from './bench.ts';
import { changedImage } from './changed-image.ts';
import { startDelayedLink, type DelayedLink } from './delayed-link.ts';
import { closing, freshFolder, guestImage, record } from './ledgers.ts';
import { figureOf, rowOf, type Row } from './measure.ts';
import { withServers, type Servers } from './servers.ts';

const VM = 'guest';
const DELAYS_MS = [0, 5, 20, 50];
const MEBIBYTES = 16;
const CHANGED_PAGES = 45;
/** A capture 20 ms away may take so much longer than one in a folder. */
const TARGET = { delayMs: 20, moreMs: 80 };
const SEED = 300;

/** Milliseconds of each capture but the first, from the commit of the one before to its own. */
async function captureTimes(ledger: Ledger, files: readonly string[]): Promise<number[]> {
  const ends: number[] = [];
  await record(ledger, { vm: VM, files }, () => ends.push(performance.now()));
  return ends.slice(1).map((end, i) => end - ends[i]!);
}

/** The address of a server as it is behind the link. */
function behind(url: string, { port }: DelayedLink): string {
  const address = new URL(url);
  address.port = String(port);
  return address.href;
}

async function timesAway(
  context: BenchContext,
  { server, s3, bucket }: Servers,
  request: { readonly delayMs: number; readonly files: readonly string[] },
): Promise<number[]> {
  const { delayMs, files } = request;
  const url = server.freshUrl();
  const links = await Promise.all(
    [url, s3.endpoint].map((each) => startDelayedLink(Number(new URL(each).port), delayMs)),
  );
  try {
    const endpoint = behind(s3.endpoint, links[1]!).replace(/\/$/u, '');
    const ledger = await openLedger({
      url: behind(url, links[0]!),
      pageStore: `s3://${bucket}/ledger-${randomBytes(6).toString('hex')}?endpoint=${endpoint}`,
      stateFolder: freshFolder(context, 'servers-away-host'),
      mode: 'create',
    });
    return await closing(ledger, (open) => captureTimes(open, files));
  } finally {
    for (const link of links) link.stop();
  }
}

async function timesInFolder(context: BenchContext, files: readonly string[]): Promise<number[]> {
  const url = freshFolder(context, 'servers-away-folder');
  return closing(await openLedger({ url, mode: 'create' }), (open) => captureTimes(open, files));
}

/** One image, and the same with a few pages more rewritten each time. */
function imagesOf(context: BenchContext): string[] {
  const files = [join(context.folder, 'servers-away-0.raw')];
  copyFileSync(guestImage(context, MEBIBYTES), files[0]!);
  for (let i = 1; i <= (context.isQuick ? 3 : 20); i += 1)
    files.push(
      changedImage(context, { base: files.at(-1)!, seed: SEED + i, changedPages: CHANGED_PAGES }),
    );
  return files;
}

async function measure(context: BenchContext, servers: Servers): Promise<readonly Row[]> {
  const files = imagesOf(context);
  await timesInFolder(context, files);
  const near: number[] = [];
  const away = new Map<number, number[]>(DELAYS_MS.map((delayMs) => [delayMs, []]));
  for (let round = 0; round < (context.isQuick ? 1 : 3); round += 1) {
    context.tell(`round ${round + 1}`);
    near.push(...(await timesInFolder(context, files)));
    for (const delayMs of DELAYS_MS)
      away.get(delayMs)!.push(...(await timesAway(context, servers, { delayMs, files })));
  }
  const inFolder = figureOf(near, 'ms');
  const atOnce = figureOf(away.get(0)!, 'ms').median;
  return DELAYS_MS.map((delayMs) => {
    const taken = figureOf(away.get(delayMs)!, 'ms');
    const trips = delayMs === 0 ? null : (taken.median - atOnce) / delayMs;
    const sentences = [
      `a capture takes ${taken.median.toFixed(1)} ms, in a folder ${inFolder.median.toFixed(1)}`,
      ...(trips === null ? [] : [`${trips.toFixed(1)} round trips`]),
    ];
    const more = away.get(delayMs)!.map((ms) => ms - inFolder.median);
    return rowOf({
      what: `what a capture of ${CHANGED_PAGES} pages takes more, log and bucket ${delayMs} ms away`,
      measured: figureOf(more, 'ms'),
      ...(delayMs === TARGET.delayMs
        ? { target: { sense: 'at most' as const, bound: TARGET.moreMs } }
        : {}),
      note: sentences.join('; '),
    });
  });
}

const run = (context: BenchContext): Promise<readonly Row[]> =>
  withServers((servers) => measure(context, servers));

export const serversAway: Bench = {
  name: 'servers-away',
  title: 'Small captures onto servers that are away',
  isPeer: true,
  run,
};
