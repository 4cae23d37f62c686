// Dumps in kdump's compressed form: makedumpfile's, and QEMU's (dump-guest-memory with a format of
// kdump, `virsh dump --memory-only --format`), plain or flattened. Numbers are little-endian; B is the
// size of a block.
//
//   0      "KDUMP   ", 8 version, 424 status (8: incomplete), 428 B, 432 blocks of the sub-header,
//          436 blocks of both bitmaps, 440 pages
//   B      sub-header: 8 what was left out, 12 whether it is one part of several, 96 pages (from version 6)
//   -      two bitmaps, a bit a page from address 0 on: which there are, and which are in the dump
//   -      for each that is: u64 offset, u32 bytes, u32 flags, u64 the kernel's flags of it
//
// Flags: 0 as it is, 1 zlib, 2 lzo, 4 snappy, 32 zstd (kdump-pages.ts). Pages may be left out: those that
// are zero, and those of caches, processes and free memory. A dump does not tell which is what: where
// anything but zeros was left out, a page that it has not is unknown.

import * as either from 'fp-ts/lib/Either.js';
import { assert } from '../../../domain/values/assert.ts';
import { keptSource, type GuestSource } from '../../../domain/ports/guests.ts';
import { gfnOfAddress, pageCountOf, type MemoryMap } from '../../../domain/values/memory-map.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import type { FormatFile } from '../images/image-format.ts';
import { latin1 } from '../qemu/byte-window.ts';
import { Spool } from '../qemu/spool.ts';
import { DumpFile, dumpUnfit, u64 } from './dump-file.ts';
import { DAMAGED, DumpedPages } from './kdump-pages.ts';
import { FLATTENED_MAGIC, FlattenedDump } from './flattened.ts';
import { checkLeftOut, leftOutText } from './left-out.ts';
import type { MemoryRun } from './memory-run.ts';
import { mapOfRuns } from './segments.ts';

export const KDUMP_MAGICS = ['KDUMP   ', FLATTENED_MAGIC] as const;

const HEADER_BYTES = 464;
const SUB_HEADER_BYTES = 104;
const VERSION_OF_64_BITS = 6;
const IS_INCOMPLETE = 8;
/** What was left out: nothing, or pages of zeros. */
const LEVEL_ALL = 0;
const LEVEL_ZEROS = 1;
/** All of the bits. */
const LEVEL_MAX = 31;
const PAGES_MAX = 2 ** 28;
const RUNS_MAX = 65_536;

interface KdumpHead {
  /** What was left out, as bits. */
  readonly level: number;
  readonly pages: number;
  /** A bit a page: in RAM, and in the dump. */
  readonly there: Uint8Array;
  readonly dumped: Uint8Array;
  readonly descriptorsAt: number;
}

function checkWhole({ label }: DumpFile, head: DataView, sub: DataView): void {
  const level = sub.getInt32(8, true);
  if (level < 0 || level > LEVEL_MAX)
    throw dumpUnfit(label, `says that ${level} was left out of it`, DAMAGED);
  if ((head.getUint32(424, true) & IS_INCOMPLETE) !== 0 || sub.getInt32(12, true) !== 0)
    throw dumpUnfit(
      label,
      'is a part of a dump',
      'join its parts with `makedumpfile --reassemble`',
    );
}

function readHead(file: DumpFile): KdumpHead {
  const { label } = file;
  const head = file.view(0, HEADER_BYTES, 'the header');
  if (latin1(new Uint8Array(head.buffer, 0, 8)) !== KDUMP_MAGICS[0])
    throw dumpUnfit(label, 'is flattened, and no kdump', 'record a dump of memory');
  const [version, block] = [head.getInt32(8, true), head.getInt32(428, true)];
  const [subBlocks, mapBlocks] = [head.getUint32(432, true), head.getUint32(436, true)];
  if (block !== PAGE_BYTES)
    throw dumpUnfit(label, `has pages of ${block} bytes`, 'only pages of 4 KiB are recorded');
  const sub = file.view(block, SUB_HEADER_BYTES, 'the sub-header');
  checkWhole(file, head, sub);
  const said = version >= VERSION_OF_64_BITS ? u64(sub, 96) : head.getUint32(440, true);
  const half = (mapBlocks * block) / 2;
  if (said > half * 8 || said > PAGES_MAX)
    throw dumpUnfit(label, `tells of ${said} pages in bitmaps of ${half} bytes`, DAMAGED);
  const mapsAt = block * (1 + subBlocks);
  const mapBytes = Math.ceil(said / 8);
  return {
    level: sub.getInt32(8, true),
    pages: said,
    there: file.bytes(mapsAt, mapBytes, 'a bitmap'),
    dumped: file.bytes(mapsAt + half, mapBytes, 'a bitmap'),
    descriptorsAt: mapsAt + mapBlocks * block,
  };
}

const has = (map: Uint8Array, page: number): boolean => ((map[page >> 3]! >> (page & 7)) & 1) === 1;

/** Runs of the pages that there are. */
function runsOf(label: string, { pages, there }: KdumpHead): readonly MemoryRun[] {
  const runs: MemoryRun[] = [];
  for (let page = 0; page < pages;) {
    if (!has(there, page)) {
      page += 1;
      continue;
    }
    let end = page + 1;
    while (end < pages && has(there, end)) end += 1;
    if (runs.length === RUNS_MAX) throw dumpUnfit(label, `has over ${RUNS_MAX} runs`, DAMAGED);
    runs.push({ address: page * PAGE_BYTES, length: (end - page) * PAGE_BYTES });
    page = end;
  }
  return runs;
}

/** Whether a page that the dump has not is unknown: else it is zeros. */
const isFiltered = ({ level }: KdumpHead): boolean => level !== LEVEL_ALL && level !== LEVEL_ZEROS;

const filteredText = (head: KdumpHead, pages: number): string =>
  leftOutText(
    pages,
    `it was made with \`makedumpfile -d ${head.level}\`, which leaves them out; -d 0 and -d 1 leave nothing out but zeros`,
  );

/** Puts the pages of a dump into a spool; 1 for each that is unknown, null: none is. */
function takePages(
  spool: Spool,
  pages: DumpedPages,
  of: { readonly head: KdumpHead; readonly runs: readonly MemoryRun[]; readonly map: MemoryMap },
): Uint8Array | null {
  const { head, runs, map } = of;
  const untold = isFiltered(head) ? new Uint8Array(pageCountOf(map)) : null;
  for (const { address, length } of runs) {
    const place = gfnOfAddress(map, address);
    assert(either.isRight(place), 'runs of memory are in the map that was made of them');
    const { gfn } = place.right;
    const from = address / PAGE_BYTES;
    for (let i = 0; i < length / PAGE_BYTES; i += 1) {
      const isThere = has(head.dumped, from + i);
      const page = isThere ? pages.take() : null;
      if (page !== null) spool.write(gfn + i, page, 0);
      if (!isThere && untold !== null) untold[gfn + i] = 1;
    }
  }
  spool.flush();
  return untold;
}

/** Opens a dump: its pages are decompressed into a temporary file. */
export async function openKdump(of: FormatFile): Promise<GuestSource> {
  const { file, first, timeMs, path, folder } = of;
  const written = new DumpFile(file);
  const isFlat = latin1(first.subarray(0, FLATTENED_MAGIC.length)) === FLATTENED_MAGIC;
  const dump = isFlat ? FlattenedDump.of(written) : written;
  const head = readHead(dump);
  const runs = runsOf(file.label, head);
  const memoryMap = mapOfRuns(file.label, runs, { between: 'nothing', hasDevices: true });
  const spool = new Spool(folder === undefined ? {} : { folder });
  try {
    spool.begin(pageCountOf(memoryMap));
    const within = { at: head.descriptorsAt, bytesMax: file.sizeBytes };
    const pages = new DumpedPages(dump, within);
    const untold = takePages(spool, pages, { head, runs, map: memoryMap });
    const image = spool.image(file.label);
    const count = untold?.reduce((sum, is) => sum + is, 0) ?? 0;
    checkLeftOut(file, { pages: image.pageCount, leftOut: count });
    file.close();
    const what = { image, memoryMap, areRangesTold: true, device: null, argv: null } as const;
    const known = untold === null || count === 0 ? {} : { untold };
    return keptSource(
      { ...what, ...known, timeMs, pauseMs: null, mode: 'core', source: path },
      () => spool.close(),
      count === 0 ? [] : [filteredText(head, count)],
    );
  } catch (thrown) {
    spool.close();
    throw thrown;
  }
}
