// Siblings: guests that were started alike and do the same work, each on its own. What recording one
// more of them costs, against what Difference Engine (OSDI'08) saved of one to six such guests, and how
// many bytes the ledger takes at most while ten are recorded, against storing all of them first.

import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { toolsAtHand } from '../../adapters/guests/demo-guest/tools.ts';
import { PAGE_BYTES, recordImages, sharingOf, type Ledger, type SharePolicy } from '../../index.ts';
import { buildGuest, runGuests, type BuiltGuest } from '../support/guest/mixed-guests.ts';
import { MIB, type Bench, type BenchContext } from './bench.ts';
import { diskBytes, freshFolder, runCli, warm, withLedger } from './ledgers.ts';
import { figureOf, rowOf, type Row } from './measure.ts';

export interface Siblings {
  readonly files: readonly string[];
  readonly mebibytes: number;
  /** What they are, for the note of a result. */
  readonly told: string;
}

/** A guest that siblings are started from. Null where none can run here. */
export async function siblingGuest(context: BenchContext): Promise<BuiltGuest | null> {
  const tools = toolsAtHand();
  const built =
    tools === null
      ? { guests: null, reason: 'QEMU, busybox or a kernel is missing' }
      : await buildGuest(tools, { kind: 'database', scale: context.isQuick ? 4 : 16 });
  if (built.guests !== null) return built.guests;
  context.tell(`no guest can run here: ${built.reason}`);
  return null;
}

/** The memories of siblings, made once a run of the benches. Null where none can run here. */
export async function siblingImages(context: BenchContext): Promise<Siblings | null> {
  const folder = join(context.folder, 'siblings');
  const kept = join(folder, 'siblings.json');
  if (existsSync(kept)) return JSON.parse(readFileSync(kept, 'utf8')) as Siblings;
  const guest = await siblingGuest(context);
  if (guest === null) return null;
  const mebibytes = context.isQuick ? 160 : 256;
  const files: string[] = [];
  for (let i = 1; i <= (context.isQuick ? 3 : 10); i += 1) {
    context.tell(`sibling ${i} works`);
    const own = join(folder, String(i));
    mkdirSync(own, { recursive: true });
    // Each is stopped at another moment of its work.
    const ticks = context.isQuick ? 2 : 3 + (i % 3);
    const [memory] = await runGuests([guest], { folder: own, memoryMib: mebibytes, ticks });
    files.push(memory!.file);
  }
  const siblings = { files, mebibytes, told: guest.told };
  writeFileSync(kept, JSON.stringify(siblings));
  return siblings;
}

/** Records an image as the only capture of a VM of its own. */
export async function recordSibling(
  ledger: Ledger,
  request: { readonly vm: string; readonly file: string; readonly share: SharePolicy },
): Promise<void> {
  const { vm, file, share } = request;
  const options = { vm, group: null, share };
  const source = { files: [file], timeMs: null, format: 'raw' } as const;
  await recordImages(ledger, options, source, () => undefined);
}

const EVERY_MS = 20;

/** The most bytes on disk that a folder takes while work is done; a file that goes meanwhile is not counted. */
async function peakBytesDuring(folder: string, work: () => Promise<void>): Promise<number> {
  let peak = 0;
  const look = (): void => {
    try {
      peak = Math.max(peak, diskBytes(folder));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  };
  const looking = setInterval(look, EVERY_MS);
  try {
    await work();
  } finally {
    clearInterval(looking);
  }
  look();
  return peak;
}

/** Difference Engine's saving of one to six guests of 256 MiB that do the same. */
const THEIR_PERCENT = 65;
const FAMILY = 6;

/** The part of all memory that a ledger of these siblings needs no bytes for, in percent. */
const savedPercent = (folder: string, memoryBytes: number): number =>
  100 * (1 - diskBytes(folder) / memoryBytes);

async function familyRows(context: BenchContext, siblings: Siblings): Promise<Row[]> {
  const { files, mebibytes, told } = siblings;
  const folder = freshFolder(context, 'family');
  const rows: Row[] = [];
  for (const [i, file] of files.slice(0, FAMILY).entries()) {
    const count = i + 1;
    context.tell(`${count} siblings recorded and compacted`);
    const counts = await withLedger({ folder }, async (ledger) => {
      await recordSibling(ledger, { vm: `sibling-${count}`, file, share: 'group' });
      return sharingOf(ledger, { position: ledger.state.next, vm: null });
    });
    const compacted = freshFolder(context, 'family-compacted');
    cpSync(folder, compacted, { recursive: true });
    runCli(['--ledger', compacted, 'compact', '--grace', '0s']);
    const memoryBytes = count * mebibytes * MIB;
    const shared = 100 * (1 - counts.unique / counts.pages);
    const target = { sense: 'at least', bound: THEIR_PERCENT } as const;
    const note = `${shared.toFixed(1)} % of the pages need no page of their own${count === 1 ? `; ${told}` : ''}`;
    const of = `of the memory of ${count} sibling${count === 1 ? '' : 's'}`;
    rows.push(
      rowOf({
        what: `saved ${of}, recorded`,
        measured: figureOf([savedPercent(folder, memoryBytes)], '%'),
        target,
        note,
      }),
      rowOf({
        what: `saved ${of}, after compact`,
        measured: figureOf([savedPercent(compacted, memoryBytes)], '%'),
        target,
      }),
    );
  }
  return rows;
}

async function peakRows(context: BenchContext, { files, mebibytes }: Siblings): Promise<Row[]> {
  const peaks: Record<string, number> = {};
  const ends: Record<string, number> = {};
  for (const share of ['group', 'pattern'] as const) {
    context.tell(`${files.length} siblings recorded, sharing by ${share}`);
    const folder = freshFolder(context, `peak-${share}`);
    await withLedger({ folder }, async (ledger) => {
      peaks[share] = await peakBytesDuring(folder, async () => {
        for (const [i, file] of files.entries()) {
          warm(file);
          await recordSibling(ledger, { vm: `sibling-${i + 1}`, file, share });
        }
      });
    });
    ends[share] = diskBytes(folder);
  }
  const mib = (bytes: number) => figureOf([bytes / MIB], 'MiB');
  const all = files.length * mebibytes;
  return [
    rowOf({
      what: `most bytes while ${files.length} siblings are recorded`,
      measured: mib(peaks['group']!),
      limit: { what: 'stored first, to be merged later', figure: mib(peaks['pattern']!) },
      target: { sense: 'at most', bound: 1 },
      note: `of ${all} MiB, ${(all * MIB) / PAGE_BYTES} pages; both compressed, patterns described; the whole ledger, its derived files too`,
    }),
    rowOf({
      what: 'most bytes meanwhile, against what is there in the end',
      measured: mib(peaks['group']!),
      limit: { what: 'the ledger, closed', figure: mib(ends['group']!) },
    }),
  ];
}

async function run(context: BenchContext): Promise<readonly Row[]> {
  const siblings = await siblingImages(context);
  if (siblings === null) return [];
  return [...(await familyRows(context, siblings)), ...(await peakRows(context, siblings))];
}

export const siblings: Bench = {
  name: 'siblings',
  title: 'Guests that are alike: what one more costs',
  isPeer: true,
  run,
};
