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
// Flags: 0 as it is, 1 zlib, 2 lzo, 4 snappy, 32 zstd. Pages that are zero may be left out; where others
// were, the dump does not tell which is what, and it is refused.

import { inflateSync } from 'node:zlib';
import { keptSource, type GuestSource } from '../../../domain/ports/guests.ts';
import { gfnOfAddress, pageCountOf } from '../../../domain/values/memory-map.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import type { FormatFile } from '../images/image-format.ts';
import { latin1 } from '../qemu/byte-window.ts';
import { Spool } from '../qemu/spool.ts';
import { DumpFile, dumpUnfit, u64 } from './dump-file.ts';
import { FLATTENED_MAGIC, FlattenedDump } from './flattened.ts';
import { mapOfRuns, type MemoryRun } from './segments.ts';
import { unsnap } from './snappy.ts';

export const KDUMP_MAGICS = ['KDUMP   ', FLATTENED_MAGIC] as const;

const HEADER_BYTES = 464;
const SUB_HEADER_BYTES = 104;
const VERSION_OF_64_BITS = 6;
const IS_INCOMPLETE = 8;
const DESCRIPTOR_BYTES = 24;
const DESCRIPTORS_READ = 16_384;
/** What may be left out: nothing, or pages of zeros. */
const LEVEL_ZEROS = 1;
const PAGES_MAX = 2 ** 28;
const RUNS_MAX = 65_536;
const DAMAGED = 'it was cut short, or is damaged; dump it again';

interface KdumpHead {
  readonly pages: number;
  /** A bit a page: in RAM, and in the dump. */
  readonly there: Uint8Array;
  readonly dumped: Uint8Array;
  readonly descriptorsAt: number;
}

function checkWhole(file: DumpFile, head: DataView, sub: DataView): void {
  const { label } = file;
  const level = sub.getInt32(8, true);
  if ((head.getUint32(424, true) & IS_INCOMPLETE) !== 0 || sub.getInt32(12, true) !== 0)
    throw dumpUnfit(
      label,
      'is a part of a dump',
      'join its parts with `makedumpfile --reassemble`',
    );
  if (level !== 0 && level !== LEVEL_ZEROS)
    throw dumpUnfit(
      label,
      `was made with \`makedumpfile -d ${level}\`, which leaves pages out that are no zeros`,
      'what they held is not known; dump with -d 0 or -d 1',
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

/** The pages of a dump, one after the other. */
class DumpedPages {
  readonly #file: DumpFile;
  readonly #at: number;
  readonly #page = new Uint8Array(PAGE_BYTES);
  #descriptors: DataView = new DataView(new ArrayBuffer(0));
  #next = 0;
  /** Bytes of content read so far: each lies in the file once. */
  #bytes = 0;
  /** Where zeros lie that many pages share. */
  #zerosAt = -1;

  constructor(file: DumpFile, at: number) {
    this.#file = file;
    this.#at = at;
  }

  /** The next one, valid until the one after; null: zeros. */
  take(): Uint8Array | null {
    const within = (this.#next % DESCRIPTORS_READ) * DESCRIPTOR_BYTES;
    if (within === 0) this.#read();
    this.#next += 1;
    if (within >= this.#descriptors.byteLength) throw this.#unfit('ends inside its table of pages');
    const offset = u64(this.#descriptors, within);
    const bytes = this.#descriptors.getUint32(within + 8, true);
    if (offset === this.#zerosAt) return null;
    if (bytes > PAGE_BYTES) throw this.#unfit(`has ${bytes} bytes for a page`);
    const data = this.#file.bytes(offset, bytes, 'a page');
    const page = this.#decoded(data, this.#descriptors.getUint32(within + 12, true));
    if (page.every((byte) => byte === 0)) {
      this.#zerosAt = offset;
      return null;
    }
    this.#bytes += bytes;
    if (this.#bytes > this.#file.sizeBytes) throw this.#unfit('has pages twice');
    return page;
  }

  #read(): void {
    const at = this.#at + this.#next * DESCRIPTOR_BYTES;
    const left = Math.floor(Math.max(0, this.#file.sizeBytes - at) / DESCRIPTOR_BYTES);
    const count = Math.min(left, DESCRIPTORS_READ);
    this.#descriptors = this.#file.view(at, count * DESCRIPTOR_BYTES, 'the table of pages');
  }

  #unfit(found: string): Error {
    return dumpUnfit(this.#file.label, found, DAMAGED);
  }

  #decoded(data: Uint8Array, flags: number): Uint8Array {
    const kind = flags & 0x27;
    if (kind === 0 && data.length === PAGE_BYTES) return data;
    if (kind === 1) return this.#inflated(data);
    if (kind === 4 && unsnap(data, this.#page) === PAGE_BYTES) return this.#page;
    if (kind === 2 || kind === 32)
      throw dumpUnfit(
        this.#file.label,
        `has pages compressed with ${kind === 2 ? 'lzo' : 'zstd'}`,
        'dump with `makedumpfile -c` (zlib) or -p (snappy)',
      );
    throw this.#unfit(`has ${data.length} bytes for a page of the kind ${flags}`);
  }

  #inflated(data: Uint8Array): Uint8Array {
    try {
      const page = inflateSync(data, { maxOutputLength: PAGE_BYTES });
      if (page.length === PAGE_BYTES) return page;
    } catch {
      // Its checksum or its form is not right.
    }
    throw this.#unfit('has a page that is damaged');
  }
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
    const pages = new DumpedPages(dump, head.descriptorsAt);
    for (const { address, length } of runs) {
      const place = gfnOfAddress(memoryMap, address);
      const from = address / PAGE_BYTES;
      for (let i = 0; i < length / PAGE_BYTES; i += 1) {
        const page = has(head.dumped, from + i) ? pages.take() : null;
        if (page !== null && place._tag === 'Right') spool.write(place.right.gfn + i, page, 0);
      }
    }
    spool.flush();
    const image = spool.image(file.label);
    file.close();
    const what = { image, memoryMap, areRangesTold: true, device: null, argv: null } as const;
    return keptSource({ ...what, timeMs, pauseMs: null, mode: 'core', source: path }, () =>
      spool.close(),
    );
  } catch (thrown) {
    spool.close();
    throw thrown;
  }
}
