// Windows' crash dumps of 64 bits: a header that says at which addresses memory lies, and memory. Numbers
// are little-endian.
//
//   0x0000   8  magic "PAGEDU64"
//   0x0088   4  number of runs; 0x90: pages of all of them. Filled with "PAGE": they are not told
//   0x0098   -  runs: u64 first page, u64 pages
//   0x0f98   4  kind: 1 full
//
// Of a full one, all memory that the system used follows from 0x2000 on: pages of the runs, one after the
// other. Of others (5 active memory, 6 and 7 a kernel's memory) a bitmap says which pages there are:
//
//   0x2000   8  "SDMPDUMP", or "FDMPDUMP"
//   0x2020   8  where the first page lies; all that there are follow it, ascending
//   0x2028   8  how many there are
//   0x2030   8  how many pages the bitmap is of
//   0x2038   -  the bitmap: a bit a page, the lowest first
//
// What those have not was left out, and is unknown. Dumps of the newest kinds ("RDMP") are refused.

import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { latin1 } from '../qemu/byte-window.ts';
import { dumpUnfit, u64, type DumpFile } from './dump-file.ts';
import type { Dump } from './dump-source.ts';
import { leftOut } from './left-out.ts';
import type { MemoryRun } from './memory-run.ts';
import { SEGMENTS_MAX, type Segment } from './segments.ts';

export const WINDOWS_MAGIC = 'PAGEDU64';
const HEADER_BYTES = 0x2000;
const RUNS_AT = 0x88;
const FIRST_RUN_AT = 0x98;
const RUN_BYTES = 16;
/** As many as there is room for up to the registers. */
const RUNS_MAX = 42;
/** "PAGE", which fills what is not told. */
const NOT_TOLD = 0x4547_4150;
const KIND_AT = 0xf98;
const KIND_FULL = 1;
const BITMAP_MAGICS = ['SDMPDUMP', 'FDMPDUMP'];
const BITMAP_HEAD_BYTES = 0x38;
const FIRST_PAGE_AT = 0x20;
const THERE_AT = 0x28;
const PAGES_AT = 0x30;
/** Pages of 512 GiB of addresses. */
const BITMAP_PAGES_MAX = 2 ** 27;
const DAMAGED = 'it is damaged; copy it again';

/** Runs of memory as the header tells them; null: it does not. */
function toldRuns({ label }: DumpFile, view: DataView): readonly MemoryRun[] | null {
  const runs = view.getUint32(RUNS_AT, true);
  if (runs === NOT_TOLD) return null;
  if (runs > RUNS_MAX) throw dumpUnfit(label, `claims ${runs} runs of memory`, DAMAGED);
  return Array.from({ length: runs }, (_, i) => {
    const at = FIRST_RUN_AT + i * RUN_BYTES;
    return { address: u64(view, at) * PAGE_BYTES, length: u64(view, at + 8) * PAGE_BYTES };
  });
}

/** Memory that lies from a place of the file on, one run after the other. */
function laidFrom(first: number, runs: Iterable<MemoryRun>): readonly Segment[] {
  const segments: Segment[] = [];
  let offset = first;
  for (const run of runs) {
    segments.push({ ...run, offset });
    offset += run.length;
  }
  return segments;
}

/** Which pages there are. */
interface Bitmap {
  readonly pages: number;
  readonly there: number;
  readonly firstPageAt: number;
  readonly bits: Uint8Array;
}

function bitmapOf(file: DumpFile, kind: number): Bitmap {
  const { label } = file;
  const view = file.view(HEADER_BYTES, BITMAP_HEAD_BYTES, 'the head of a bitmap');
  if (!BITMAP_MAGICS.includes(latin1(new Uint8Array(view.buffer, 0, 8))))
    throw dumpUnfit(
      label,
      `is a Windows crash dump of kind ${kind}, which leaves pages out and has no bitmap of them`,
      'have the system write complete memory dumps, or dump its memory as raw bytes',
    );
  const [pages, there] = [u64(view, PAGES_AT), u64(view, THERE_AT)];
  const firstPageAt = u64(view, FIRST_PAGE_AT);
  const bitsAt = HEADER_BYTES + BITMAP_HEAD_BYTES;
  const bytes = Math.ceil(pages / 8);
  if (pages > BITMAP_PAGES_MAX || firstPageAt < bitsAt + bytes)
    throw dumpUnfit(
      label,
      `has a bitmap of ${pages} pages, and the first of them at ${firstPageAt}`,
      DAMAGED,
    );
  file.check(firstPageAt, there * PAGE_BYTES, `${there} pages`);
  return { pages, there, firstPageAt, bits: file.bytes(bitsAt, bytes, 'a bitmap') };
}

/** Runs of the pages that a bitmap has, ascending. */
function runsIn({ label }: DumpFile, { pages, there, bits }: Bitmap): readonly MemoryRun[] {
  const has = (page: number): boolean => ((bits[page >> 3]! >> (page & 7)) & 1) === 1;
  const runs: MemoryRun[] = [];
  let found = 0;
  for (let page = 0; page < pages;) {
    if (!has(page)) {
      // A byte at once where there is nothing.
      page += bits[page >> 3] === 0 ? 8 - (page & 7) : 1;
      continue;
    }
    let end = page + 1;
    while (end < pages && has(end)) end += 1;
    if (runs.length === SEGMENTS_MAX)
      throw dumpUnfit(label, `has its memory in over ${SEGMENTS_MAX} runs`, DAMAGED);
    runs.push({ address: page * PAGE_BYTES, length: (end - page) * PAGE_BYTES });
    found += end - page;
    page = end;
  }
  if (found !== there)
    throw dumpUnfit(label, `has ${found} pages in its bitmap, and says ${there}`, DAMAGED);
  return runs;
}

/** Memory of a dump that leaves pages out. */
function readBitmapDump(file: DumpFile, told: readonly MemoryRun[] | null, kind: number): Dump {
  const bitmap = bitmapOf(file, kind);
  const segments = laidFrom(bitmap.firstPageAt, runsIn(file, bitmap));
  const last = segments.at(-1);
  // Where nothing else is told, all counts as memory up to the last page that there is.
  const all = told ?? [{ address: 0, length: last === undefined ? 0 : last.address + last.length }];
  const runs = leftOut(
    file,
    all.toSorted((a, b) => a.address - b.address),
    segments,
  );
  const why =
    'the system wrote its own memory alone, and does not tell what the rest held; have it write complete memory dumps';
  return { segments, mode: 'core', between: 'nothing', leftOut: { runs, why } };
}

/** Memory of a dump. */
export function readWindowsDump(file: DumpFile): Dump {
  const view = file.view(0, HEADER_BYTES, 'the header');
  const kind = view.getUint32(KIND_AT, true);
  const told = toldRuns(file, view);
  if (kind !== KIND_FULL) return readBitmapDump(file, told, kind);
  if (told === null)
    throw dumpUnfit(file.label, 'does not say at which addresses its memory lies', DAMAGED);
  return { segments: laidFrom(HEADER_BYTES, told), mode: 'core', between: 'nothing' };
}
