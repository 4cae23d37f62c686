// A crash after file operations of captures that hold a region large, write to it, and split it, on a disk
// that may lose whatever was not synced: what was acknowledged is there, every point that can be seen is
// byte-equal, `verify` is clean, and the next capture holds all of it as it is told to.
//
// PAGELEDGER_SEED, PAGELEDGER_STEP: as in recovery.test.ts.

import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  openLedger,
  sharingOf,
  verify,
  type LargeHolding,
  type Ledger,
  PAGE_BYTES,
} from '../../index.ts';
import { REGION_PAGES } from '../../domain/values/page.ts';
import { distinctPages, recordImage } from '../support/ledgers/recorded-images.ts';
import { digestOf, restoredDigest } from '../support/ledgers/small-ledger.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../support/disks/temporary-folder.ts';
import { crashKinds, faultsAtEveryCrash } from './crashes.ts';
import { LossyFiles } from './lossy-files.ts';

const SEED = Number(process.env['PAGELEDGER_SEED'] ?? 20_271);
const STEP = Number(process.env['PAGELEDGER_STEP'] ?? 23);
const PAGES = REGION_PAGES + 4;
const VM = 'large';

let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await makeTemporaryFolder();
});
afterAll(() => folder.remove());

const open = (files: LossyFiles): Promise<Ledger> =>
  openLedger({ url: '/disk/ledger', mode: 'create', threads: 0, files });

const record = (ledger: Ledger, image: Uint8Array, large: LargeHolding) =>
  recordImage(ledger, { vm: VM, image, folder: folder.path, large });

/** Memories, and how each is held: pages are written, and then all is split and merged. */
function memories(): readonly (readonly [Uint8Array, LargeHolding])[] {
  const first = distinctPages({ pages: PAGES, seed: 1 });
  // A quarter of the pages are equal.
  for (let gfn = 0; gfn < PAGES; gfn += 4) first.copyWithin(gfn * PAGE_BYTES, 0, PAGE_BYTES);
  const second = Buffer.from(first);
  distinctPages({ pages: 3, seed: 2 }).copy(second, 7 * PAGE_BYTES);
  return [
    [first, 'all'],
    [second, 'all'],
    [second, 'none'],
  ];
}

interface Series {
  readonly files: LossyFiles;
  /** Operations after which each capture was acknowledged. */
  readonly acknowledged: readonly number[];
}

async function seriesOf(): Promise<Series> {
  const files = new LossyFiles(['/', '/disk']);
  const acknowledged: number[] = [];
  const ledger = await open(files);
  for (const [image, large] of memories()) {
    await record(ledger, image, large);
    acknowledged.push(files.operations.length);
  }
  await ledger.close();
  return { files, acknowledged };
}

async function faultsAfter(left: LossyFiles, acknowledged: number): Promise<string[]> {
  const faults: string[] = [];
  const ledger = await open(left);
  try {
    const captures = ledger.state.catalogue.vms.get(VM)?.captures.length ?? 0;
    if (captures < acknowledged) faults.push(`${captures} captures, not ${acknowledged}`);
    const check = async (capture: number, image: Uint8Array): Promise<void> => {
      const point = { vm: VM, at: `@${capture}`, scratch: '/disk/scratch' };
      if ((await restoredDigest(ledger, point)) !== digestOf(image)) faults.push(point.at);
    };
    for (const [i, [image]] of memories().entries()) if (i < captures) await check(i + 1, image);
    const [image] = memories().at(-1)!;
    await record(ledger, image, 'all');
    await check(captures + 1, image);
    const { heldLarge } = await sharingOf(ledger, { position: ledger.state.next, vm: null });
    if (heldLarge !== REGION_PAGES) faults.push(`${heldLarge} pages are held large`);
    const { findings } = await verify(ledger, () => undefined);
    faults.push(...findings.map(({ kind, where, reason }) => `${kind} ${where} ${reason}`));
    return faults;
  } finally {
    await ledger.close();
  }
}

let series: Series | null = null;

test.each(crashKinds(SEED, 4))(
  'a crash while a region is held large, written and split that %s loses nothing',
  async (_name, first, keptAt) => {
    series ??= await seriesOf();
    const { files, acknowledged } = series;
    const from = first % STEP;
    const faults = await faultsAtEveryCrash({
      files,
      from,
      step: STEP,
      keptAt,
      faultsAfter: (left, count) =>
        faultsAfter(left, acknowledged.filter((operations) => operations <= count).length),
    });
    expect(faults).toEqual([]);
  },
  600_000,
);
