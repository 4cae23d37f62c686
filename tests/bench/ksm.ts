// The kernel's own merging (KSM) as the baseline: the same images, offered to it as memory, and
// recorded here. It is the one way to share that every Linux host has.

import { statSync } from 'node:fs';
import { PAGE_BYTES } from '../../domain/values/page.ts';
import { sharingOf, type SharingCounts } from '../../index.ts';
import { MIB, type Bench, type BenchContext } from './bench.ts';
import { mergeByKernel, whyNoMerging, type Merging, type Pace } from './kernel-samepage.ts';
import { freshFolder, guestImage, record, warm, withLedger } from './ledgers.ts';
import { figureOf, rowOf, secondsOf, type Figure, type Row } from './measure.ts';
import { mixedImages } from './mixed-guests.ts';

interface Images {
  readonly files: readonly string[];
  readonly told: string;
}

/** The mixed guests' memories; where none can run, images that are made to look like a guest's. */
async function imagesOf(context: BenchContext): Promise<Images> {
  const mixed = await mixedImages(context);
  if (mixed !== null)
    return {
      files: mixed.map(({ file }) => file),
      told: mixed.map((memory) => memory.told).join('; '),
    };
  const mebibytes = context.isQuick ? 32 : 256;
  const files = [1, 2, 3].map((seed) => guestImage(context, mebibytes, seed));
  return { files, told: 'images like those of guests' };
}

interface Recorded {
  readonly seconds: number;
  readonly counts: SharingCounts;
}

/** Records all images into a fresh ledger; the second time counts, the first warms memory. */
async function recordAll(context: BenchContext, files: readonly string[]): Promise<Recorded> {
  let recorded: Recorded | null = null;
  for (let sample = 0; sample < 2; sample += 1) {
    const folder = freshFolder(context, 'merged');
    for (const file of files) warm(file);
    await withLedger({ folder }, async (ledger) => {
      const seconds = await secondsOf(async () => {
        for (const [i, file] of files.entries())
          await record(ledger, { vm: `guest-${i + 1}`, files: [file] });
      });
      const counts = await sharingOf(ledger, { position: ledger.state.next, vm: null });
      recorded = { seconds, counts };
    });
  }
  return recorded!;
}

/** The kernel's own pace, and one without sleep that leaves the daemon a core of its own. */
const PACES: readonly (readonly [name: string, pace: Pace])[] = [
  ['100 pages every 20 ms, as it comes', { pagesToScan: 100, sleepMs: 20 }],
  ['without a pause', { pagesToScan: 10_000, sleepMs: 0 }],
];

const pagesFigure = (count: number): Figure => figureOf([count], 'pages');
const secondsFigure = (seconds: number): Figure => figureOf([seconds], 's');

function rowsOf(own: Recorded, merging: Merging, pace: string): Row[] {
  const { pages, unique } = own.counts;
  const { pagesShared, pagesSharing, seconds, scans, daemonSeconds } = merging;
  const used = daemonSeconds === null ? 'not to be read' : `${daemonSeconds.toFixed(2)} s`;
  return [
    rowOf({
      what: `pages that need no memory of their own, against KSM, ${pace}`,
      measured: pagesFigure(pages - unique),
      limit: { what: 'pages_sharing', figure: pagesFigure(pagesSharing) },
      target: { sense: 'at least', bound: 1 },
      note: `pages_shared ${pagesShared}; processor time of ksmd ${used}`,
    }),
    rowOf({
      what: `seconds until then, against KSM, ${pace}`,
      measured: secondsFigure(own.seconds),
      limit: { what: `${scans} full scans`, figure: secondsFigure(seconds) },
      inverse: true,
      note: 'ours: recorded durably, compressed; KSM: in memory, nothing kept',
    }),
  ];
}

async function run(context: BenchContext): Promise<readonly Row[]> {
  const { files, told } = await imagesOf(context);
  const own = await recordAll(context, files);
  const pages = files.reduce((sum, file) => sum + statSync(file).size / PAGE_BYTES, 0);
  const { zero, pattern, mergedIntra, mergedInter, unique } = own.counts;
  const rows: Row[] = [
    rowOf({
      what: 'pages recorded that need no page of their own',
      measured: pagesFigure(pages - unique),
      limit: { what: 'all pages', figure: pagesFigure(pages) },
      note: `${told}; ${(pages * PAGE_BYTES) / MIB} MiB; zero ${zero}, patterns ${pattern}, merged inside a VM ${mergedIntra}, between VMs ${mergedInter}`,
    }),
  ];
  const why = whyNoMerging();
  if (why !== null) {
    const what = `KSM: ${why}`;
    return [...rows, rowOf({ what, measured: pagesFigure(0) })];
  }
  for (const [name, pace] of context.isQuick ? PACES.slice(1) : PACES) {
    context.tell(`KSM, ${name}`);
    const merging = await mergeByKernel(files, pace);
    if (merging === null) context.tell('python3 is missing, which holds the memory');
    else rows.push(...rowsOf(own, merging, name));
  }
  return rows;
}

export const ksm: Bench = {
  name: 'ksm',
  title: "The kernel's own merging of the same pages",
  isPeer: true,
  run,
};
