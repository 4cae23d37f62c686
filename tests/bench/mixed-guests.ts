// Difference Engine's Table 1 run again (docs/sharing.md): three guests of different content, two
// kernels and three workloads; what its own way to share and patch makes of their pages, and what a
// ledger makes of them, as recorded and after compaction.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { toolsAtHand } from '../../adapters/guests/demo-guest/tools.ts';
import { assert } from '../../domain/values/assert.ts';
import { PAGE_BYTES, restoreToFile, whatIfOf } from '../../index.ts';
import { buildGuests, MIXED, runGuests, type GuestMemory } from '../support/guest/mixed-guests.ts';
import {
  differenceEngine,
  leftAfter,
  type PaperTable,
} from '../support/ledgers/difference-engine.ts';
import {
  pagesShared,
  sharingTableOf,
  type SharingTable,
} from '../support/ledgers/sharing-table.ts';
import { MIB, type Bench, type BenchContext } from './bench.ts';
import { freshFolder, runCli, withLedger } from './ledgers.ts';
import { figureOf, rowOf, type Figure, type Row } from './measure.ts';

const pages = (count: number): Figure => figureOf([count], 'pages');
const mib = (bytes: number): Figure => figureOf([bytes / MIB], 'MiB');

/** The guests' memories, made once a run of the benches; null where no such guests can run here. */
export async function mixedImages(context: BenchContext): Promise<readonly GuestMemory[] | null> {
  const folder = join(context.folder, 'mixed-guests');
  const kept = join(folder, 'images.json');
  if (existsSync(kept)) return JSON.parse(readFileSync(kept, 'utf8')) as GuestMemory[];
  const tools = toolsAtHand();
  const built =
    tools === null
      ? { guests: null, reason: 'QEMU, busybox or a kernel is missing' }
      : await buildGuests(tools, { kinds: MIXED, scale: context.isQuick ? 4 : 24 });
  if (built.guests === null) {
    context.tell(`no mixed guests can run here: ${built.reason}`);
    return null;
  }
  context.tell('three guests work');
  mkdirSync(folder, { recursive: true });
  const size = context.isQuick ? { memoryMib: 160, ticks: 2 } : { memoryMib: 256, ticks: 8 };
  const images = await runGuests(built.guests, { folder, ...size });
  writeFileSync(kept, JSON.stringify(images));
  return images;
}

/** Records each image as a VM of its own, through the command line. */
function recordAll(folder: string, images: readonly GuestMemory[]): void {
  for (const { vm, file } of images)
    runCli(['--ledger', folder, 'record', 'image', '--init', '--format', 'raw', '--vm', vm, file]);
}

/** The table of a ledger, and that every image comes back out of it. */
async function tableOf(folder: string, images: readonly GuestMemory[]): Promise<SharingTable> {
  return withLedger({ folder }, async (ledger) => {
    const path = `${folder}.raw`;
    for (const { vm, file } of images) {
      const entry = ledger.vm(vm);
      const row = ledger.resolve(entry, 'latest');
      await restoreToFile(ledger, { entry, row }, { path, isForced: true, format: 'raw' });
      assert(readFileSync(path).equals(readFileSync(file)), `the image of ${vm} comes back`);
    }
    return sharingTableOf(ledger);
  });
}

/** The columns of the paper, by its own method. */
function paperRows(paper: PaperTable, told: string): Row[] {
  const all = { what: 'all pages', figure: pages(paper.pages) };
  const part = (what: string, count: number, note?: string): Row =>
    rowOf({ what, measured: pages(count), limit: all, ...(note === undefined ? {} : { note }) });
  const { sharing, patching } = leftAfter(paper);
  const mean = Math.round(paper.patchBytes / Math.max(1, paper.patched));
  return [
    part('zero', paper.zero, told),
    part('not zero, in more than one place', paper.sharable, `${paper.sharableContents} contents`),
    part('in one place', paper.single),
    part("left after sharing, Difference Engine's way", sharing),
    part(
      "left after patching, Difference Engine's way",
      patching,
      `${paper.references} references, ${paper.patched} patches of ${mean} bytes in the mean`,
    ),
  ];
}

/** What the ledger makes of the same pages. */
function ownRows(recorded: SharingTable, compacted: SharingTable, paper: PaperTable): Row[] {
  const all = { what: 'all pages', figure: pages(recorded.pages) };
  const allBytes = { what: 'all pages', figure: mib(recorded.pages * PAGE_BYTES) };
  const paperBytes = leftAfter(paper).patching * PAGE_BYTES;
  const disk = ({ storedBytes, logBytes }: SharingTable): number => storedBytes + logBytes;
  const { patched } = compacted;
  return [
    rowOf({
      what: 'zero or another pattern, in this ledger',
      measured: pages(recorded.zero + recorded.pattern),
      limit: all,
      note: `other patterns: ${recorded.pattern}`,
    }),
    rowOf({
      what: 'left after sharing, in this ledger',
      measured: pages(pagesShared(recorded)),
      limit: all,
      note: `${pagesShared(compacted)} after compact, ${patched} of them as patches`,
    }),
    rowOf({
      what: 'page store and log, as recorded',
      measured: mib(disk(recorded)),
      limit: allBytes,
    }),
    rowOf({
      what: 'page store and log, after compact',
      measured: mib(disk(compacted)),
      limit: allBytes,
    }),
    rowOf({
      what: "the same, against what is left after patching, Difference Engine's way",
      measured: mib(disk(compacted)),
      limit: { what: 'references and patches', figure: mib(paperBytes) },
      target: { sense: 'at most', bound: 1 },
    }),
  ];
}

/** What other settings would have cost, each against what was recorded. */
async function whatIfRows(folder: string): Promise<Row[]> {
  const settings = await withLedger({ folder }, whatIfOf);
  const recorded = settings[0]!;
  return settings.slice(1).map(({ setting, storedBytes, pages: count, pageBytes }) =>
    rowOf({
      what: `what if: ${setting}`,
      measured: mib(storedBytes),
      limit: { what: recorded.setting, figure: mib(recorded.storedBytes) },
      note: `${count} pages of ${pageBytes / 1024} KiB stored; an estimate from the record`,
    }),
  );
}

async function run(context: BenchContext): Promise<readonly Row[]> {
  const images = await mixedImages(context);
  if (images === null) return [];
  const folder = freshFolder(context, 'mixed');
  recordAll(folder, images);
  const recorded = await tableOf(folder, images);
  const whatIf = await whatIfRows(folder);
  runCli(['--ledger', folder, 'compact', '--grace', '0s']);
  const compacted = await tableOf(folder, images);
  context.tell("Difference Engine's way");
  const paper = differenceEngine(images.map(({ file }) => readFileSync(file)));
  assert(paper.pages === recorded.pages, 'the ledger has every page');
  const told = images.map((memory) => memory.told).join('; ');
  return [...paperRows(paper, told), ...ownRows(recorded, compacted, paper), ...whatIf];
}

export const mixedGuests: Bench = {
  name: 'mixed-guests',
  title: 'Three guests of different content: what sharing and patches find',
  isPeer: true,
  run,
};
