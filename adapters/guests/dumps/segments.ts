// What dumps of memory have in common: segments, each a run of guest-physical addresses and where its
// bytes lie in the file. They become one block of RAM whose pages count through them in ascending order.
//
// - RAM that has anything below 1 MiB has all of that: where a dump leaves out what firmware and video
//   memory cover there, those pages are zeros, and all others keep the numbers that they have in QEMU.
// - Any other gap is no memory, or zeros up to the next segment where the writer leaves zeros out.
// - A page of which the file has a part is that part, and zeros.
// - What a dump tells of without having it is memory, and unknown (left-out.ts).

import { assert } from '../../../domain/values/assert.ts';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import type { ImagePieces } from '../../../domain/ports/guests.ts';
import type { MemoryMap, PhysicalRange } from '../../../domain/values/memory-map.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { dumpUnfit, hexOf, type DumpFile } from './dump-file.ts';
import { checkLeftOut } from './left-out.ts';
import type { MemoryRun } from './memory-run.ts';
import { piecesOf, type Piece } from './pieces.ts';

/** A run, and where its bytes lie in the file; it may begin and end inside of a page. */
export interface Segment extends MemoryRun {
  readonly offset: number;
}

/** How a dump is to be understood. */
export interface SegmentRules {
  /** What lies between two segments: no memory, or zeros that were left out. */
  readonly between: 'nothing' | 'zeros';
  /** Whether what lies alone below 4 GiB is a device's: video memory, firmware. */
  readonly hasDevices?: boolean;
}

/** A memory as an image and its map have it. */
export interface PlacedMemory {
  readonly memoryMap: MemoryMap;
  readonly pageCount: number;
  readonly pieces: ImagePieces;
  /** Shared; 1 for each page that is zero, or unknown. Null: the file has them all. */
  readonly zeros: Uint8Array | null;
  /** 1 for each page that is unknown. Null: none is. */
  readonly untold: Uint8Array | null;
}

/** Consecutive pages by their addresses; `offset` as a piece has it, null: zeros. */
interface Span {
  readonly page: number;
  readonly pages: number;
  readonly offset: number | null;
  /** Whether it is unknown, and no zeros. */
  readonly isUntold?: boolean;
}

/** Most segments of a dump, and runs of what it leaves out: of a server's 256 GiB they may be a MiB each. */
export const SEGMENTS_MAX = 2 ** 18;
/** Most runs of addresses: they stand in one event. */
const RANGES_MAX = 1024;
/** Most pages that the file does not hold as a whole. */
const LOOSE_PAGES_MAX = 1024;
/** Most pages of all (256 GiB). */
const PAGES_MAX = 2 ** 26;
const ADDRESS_MAX = 2 ** 52;
const MIB_PAGES = 256;
/** On PCs, RAM lies from 0 on in one piece, then from 4 GiB on; between are windows of devices. */
const WINDOW_PAGE = 2 ** 31 / PAGE_BYTES;
const HIGH_PAGE = 2 ** 32 / PAGE_BYTES;

const endOf = ({ page, pages }: Span): number => page + pages;

/** Runs in ascending order. Refuses what lies where no memory can be, or twice at an address. */
function checked<R extends MemoryRun>(label: string, segments: readonly R[]): readonly R[] {
  const again = 'it is damaged; copy or dump it again';
  if (segments.length > SEGMENTS_MAX)
    throw dumpUnfit(label, `has ${segments.length} segments, and at most ${SEGMENTS_MAX}`, again);
  const sorted = segments.filter(({ length }) => length > 0).toSorted(byAddress);
  let end = 0;
  for (const { address, length } of sorted) {
    if (!Number.isSafeInteger(address) || address + length > ADDRESS_MAX)
      throw dumpUnfit(label, `has memory at ${hexOf(address)}, where none can be`, again);
    if (address < end)
      throw dumpUnfit(label, `has two segments of memory at ${hexOf(address)}`, again);
    end = address + length;
  }
  if (sorted.length === 0) throw dumpUnfit(label, 'has no segment of memory', again);
  return sorted;
}

const byAddress = (a: MemoryRun, b: MemoryRun): number => a.address - b.address;

/** Pages that are made of parts. */
class LoosePages {
  readonly #file: DumpFile;
  readonly #pages = new Map<number, Uint8Array>();

  constructor(file: DumpFile) {
    this.#file = file;
  }

  /** Takes a part of one page; gives the page's span where it is the first one. */
  add({ address, length, offset }: Segment): Span | null {
    const page = Math.floor(address / PAGE_BYTES);
    const known = this.#pages.get(page);
    const bytes = known ?? new Uint8Array(PAGE_BYTES);
    bytes.set(this.#file.bytes(offset, length, 'a part of a page'), address % PAGE_BYTES);
    if (known !== undefined) return null;
    if (this.#pages.size === LOOSE_PAGES_MAX)
      throw dumpUnfit(
        this.#file.label,
        `has more than ${LOOSE_PAGES_MAX} segments that are no whole pages`,
        'only memory in pages of 4 KiB is recorded',
      );
    const span = { page, pages: 1, offset: -1 - this.#pages.size * PAGE_BYTES };
    this.#pages.set(page, bytes);
    return span;
  }

  get bytes(): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(this.#pages.size * PAGE_BYTES);
    for (const [i, page] of [...this.#pages.values()].entries()) bytes.set(page, i * PAGE_BYTES);
    return bytes;
  }
}

/** The part of a segment before its first whole page, its whole pages, and what is left. */
function* spansOf(segment: Segment, loose: LoosePages): Generator<Span> {
  const { address, offset } = segment;
  const end = address + segment.length;
  const first = Math.ceil(address / PAGE_BYTES);
  const last = Math.floor(end / PAGE_BYTES);
  const part = (from: number, to: number): Span | null =>
    to > from
      ? loose.add({ address: from, length: to - from, offset: offset + from - address })
      : null;
  const before = part(address, Math.min(end, first * PAGE_BYTES));
  if (before !== null) yield before;
  if (last > first)
    yield { page: first, pages: last - first, offset: offset + first * PAGE_BYTES - address };
  const after = last >= first ? part(last * PAGE_BYTES, end) : null;
  if (after !== null) yield after;
}

/** The spans and, between them, the zeros that count as memory. */
function* filled(spans: Iterable<Span>, { between }: SegmentRules): Generator<Span> {
  let end: number | null = null;
  for (const span of spans) {
    const isLow = span.page < MIB_PAGES;
    end ??= isLow || between === 'zeros' ? 0 : span.page;
    const filledTo =
      between === 'zeros' ? span.page : end < MIB_PAGES ? Math.min(span.page, MIB_PAGES) : end;
    if (filledTo > end) yield { page: end, pages: filledTo - end, offset: null };
    yield span;
    end = endOf(span);
  }
  if (end !== null && end < MIB_PAGES) yield { page: end, pages: MIB_PAGES - end, offset: null };
}

/** Whether a run that begins with a span is a device's: the one before it ended earlier. */
const isDevice = ({ page }: Span, { hasDevices }: SegmentRules): boolean =>
  hasDevices === true && page >= WINDOW_PAGE && page < HIGH_PAGE;

/** Spans in one piece of addresses. */
interface Run {
  readonly spans: Span[];
  readonly isRam: boolean;
}

function runsOf(spans: Iterable<Span>, rules: SegmentRules): readonly Run[] {
  const runs: Run[] = [];
  for (const span of spans) {
    const run = runs.at(-1);
    const isNext = run !== undefined && endOf(run.spans.at(-1)!) === span.page;
    // Firmware ends where RAM goes on.
    if (isNext && (run.isRam || span.page < HIGH_PAGE)) run.spans.push(span);
    else runs.push({ spans: [span], isRam: runs.length === 0 || !isDevice(span, rules) });
  }
  return runs;
}

/** Puts runs one after the other into blocks. */
class Placing {
  readonly ranges: PhysicalRange[] = [];
  readonly pieces: Piece[] = [];
  /** By their numbers, not by addresses. */
  readonly zeros: Span[] = [];
  pages = 0;

  /** The pages of a block. */
  add(block: string, runs: readonly Run[]): number {
    const first = this.pages;
    for (const { spans } of runs) {
      const offset = (this.pages - first) * PAGE_BYTES;
      const from = this.pages;
      for (const span of spans) this.#add(span);
      const length = (this.pages - from) * PAGE_BYTES;
      this.ranges.push({ address: spans[0]!.page * PAGE_BYTES, block, offset, length });
    }
    return this.pages - first;
  }

  #add({ pages, offset, isUntold = false }: Span): void {
    if (offset === null) this.zeros.push({ page: this.pages, pages, offset, isUntold });
    this.pieces.push({ page: this.pages, offset: offset ?? 0 });
    this.pages += pages;
  }
}

const tooLarge = (label: string, pages: number): LedgerError =>
  new LedgerError(
    'SOURCE_SIZE',
    `${label} tells of ${pages} pages of memory; at most ${PAGES_MAX} (256 GiB) can be recorded`,
    { label, found: pages, expected: PAGES_MAX },
  );

/** Spans in ascending order, and what lies between them, put into blocks. */
function placed(
  label: string,
  spans: readonly Span[],
  rules: SegmentRules,
): { readonly placing: Placing; readonly memoryMap: MemoryMap } {
  const runs = runsOf(filled(spans, rules), rules);
  if (runs.length > RANGES_MAX)
    throw dumpUnfit(
      label,
      `has memory in ${runs.length} runs of addresses, and at most ${RANGES_MAX}`,
      'write it as raw memory, and record that',
    );
  const pageCount = runs.reduce((sum, run) => sum + pagesOfRun(run), 0);
  if (pageCount > PAGES_MAX) throw tooLarge(label, pageCount);
  const placing = new Placing();
  const pagesOf = (name: string, isRam: boolean): number =>
    placing.add(
      name,
      runs.filter((run) => run.isRam === isRam),
    );
  const blocks = [{ name: 'ram', pages: pagesOf('ram', true) }];
  const devices = pagesOf('/devices', false);
  if (devices > 0) blocks.push({ name: '/devices', pages: devices });
  return { placing, memoryMap: { blocks, ranges: placing.ranges } };
}

/** Memory at addresses, with the place of what the file has of it. */
type Part = MemoryRun & { readonly offset?: number };

/** The memory that segments of a file make up, with runs that it has not. SOURCE_FORMAT, SOURCE_SIZE. */
export function placeSegments(
  file: DumpFile,
  of: { readonly segments: readonly Segment[]; readonly untold: readonly MemoryRun[] },
  rules: SegmentRules,
): PlacedMemory {
  for (const { address, length, offset } of of.segments)
    file.check(offset, length, `memory at ${hexOf(address)}`);
  const loose = new LoosePages(file);
  const sorted = checked<Part>(file.label, [...of.segments, ...of.untold]);
  const spans = sorted.flatMap(({ offset, ...run }) =>
    offset === undefined
      ? [{ ...wholePages(run), isUntold: true }]
      : [...spansOf({ ...run, offset }, loose)],
  );
  const { placing, memoryMap } = placed(file.label, spans, rules);
  const { pages, zeros } = placing;
  const untold = zeros.filter(({ isUntold }) => isUntold);
  checkLeftOut(file, { pages, leftOut: untold.reduce((sum, span) => sum + span.pages, 0) });
  return {
    memoryMap,
    pageCount: pages,
    pieces: piecesOf(placing.pieces, loose.bytes),
    zeros: marksOf(zeros, () => new Uint8Array(new SharedArrayBuffer(pages))),
    untold: marksOf(untold, () => new Uint8Array(pages)),
  };
}

function wholePages({ address, length }: MemoryRun): Span {
  assert(address % PAGE_BYTES === 0 && length % PAGE_BYTES === 0, 'runs are whole pages');
  return { page: address / PAGE_BYTES, pages: length / PAGE_BYTES, offset: null };
}

/** The map of memory whose pages come from somewhere else. SOURCE_FORMAT, SOURCE_SIZE. */
export function mapOfRuns(
  label: string,
  runs: readonly MemoryRun[],
  rules: SegmentRules,
): MemoryMap {
  return placed(label, checked(label, runs).map(wholePages), rules).memoryMap;
}

const pagesOfRun = ({ spans }: Run): number => endOf(spans.at(-1)!) - spans[0]!.page;

/** 1 for each page of spans; null: there are none. */
function marksOf(spans: readonly Span[], room: () => Uint8Array): Uint8Array | null {
  if (spans.length === 0) return null;
  const marks = room();
  for (const span of spans) marks.fill(1, span.page, endOf(span));
  return marks;
}
