// The data plane's core, the same on a worker thread and inline: scanning chunks of an image and
// storing what is new of them. A core owns one WebAssembly memory with a fixed number of slots, each
// for the pages of one chunk. Pages are read where they will stay: a window of the image is read
// behind the pages kept so far and, once it is fingerprinted, compared and classified, only its
// candidates are kept, closed up. So an unchanged image runs through the same few cache lines.

import { looseOf, stretchOf, type Image } from '../../../domain/ports/guests.ts';
import { assert } from '../../../domain/values/assert.ts';
import { CHUNK_PAGES, CLASS_NONE, CLASS_ZERO } from '../../../domain/ports/page-engine.ts';
import {
  FINGERPRINT_BYTES,
  IDENTIFIER_BYTES,
  SKETCH_FEATURES,
} from '../../../domain/ports/page-engine.ts';
import type {
  Compression,
  Descriptors,
  EngineKeys,
  Grammar,
  PackRequest,
  PatchedBlocks,
  PatchReferences,
  ScanRequest,
} from '../../../domain/ports/page-engine.ts';
import { CODEC_PACKED, CODEC_ZSTD } from '../../../domain/values/pack.ts';
import { BLOCK_PAGES, BLOCK_PAGES_MAX, PAGE_BYTES } from '../../../domain/values/page.ts';
import { ASSEMBLER_BYTES, BlockAssembler, checkReferences } from './block-assembler.ts';
import { BlockCodec, CODEC_BYTES } from '../codec/codec.ts';
import { BlockWriter } from './block-writer.ts';
import { readFully } from './file-pages.ts';
import { loadKernels, PACKING_SLACK_BYTES } from './kernels.ts';
import type { Kernels } from './kernels.ts';
import {
  classifierBytes,
  DescriptorColumn,
  isDescribed,
  PageClassifier,
} from './page-classifier.ts';

/** Pages read at once: few enough to be in the cache still when they are looked at. */
const WINDOW_PAGES = 128;
const CHUNK_BYTES = CHUNK_PAGES * PAGE_BYTES;
/** Room for blocks where few pages of a chunk are stored, as most captures do: all of it may be touched. */
const SMALL_ROOM_BYTES = 512 * 1024;
const U32_BYTES = 4;
const SKETCH_BYTES = SKETCH_FEATURES * U32_BYTES;
/** Row of a page that is not kept: a pattern describes it. */
const NOT_KEPT = 0xffff_ffff;

/** Offsets in the arena: columns of one chunk first, all multiples of 64, then pages. */
const PREVIOUS = 0;
const NEXT = PREVIOUS + CHUNK_PAGES * FINGERPRINT_BYTES;
const ALL = NEXT + CHUNK_PAGES * FINGERPRINT_BYTES;
const CHANGED = ALL + CHUNK_PAGES * U32_BYTES;
const CLASSES = CHANGED + CHUNK_PAGES * U32_BYTES;
const FRESH = CLASSES + CHUNK_PAGES;
const IDENTIFIERS = FRESH + WINDOW_PAGES * Math.max(IDENTIFIER_BYTES, SKETCH_BYTES);
const ZERO_FINGERPRINT = IDENTIFIERS + CHUNK_PAGES * IDENTIFIER_BYTES;
const CLASSIFIER = ZERO_FINGERPRINT + Math.ceil(FINGERPRINT_BYTES / 64) * 64;
const BLOCK = Math.ceil((CLASSIFIER + classifierBytes(WINDOW_PAGES)) / PAGE_BYTES) * PAGE_BYTES;
const CODEC = BLOCK + ASSEMBLER_BYTES;
const WINDOW = CODEC + CODEC_BYTES;
const SLOTS = WINDOW + WINDOW_PAGES * PAGE_BYTES;

/** How blocks are compressed where nothing else is said. */
export const PACKED: Compression = { codec: CODEC_PACKED };

/** What a scan tells of a chunk: the data of a ScannedChunk. */
export interface ChunkColumns {
  readonly unchanged: number;
  readonly gfns: Uint32Array;
  readonly classes: Uint8Array;
  readonly identifiers: Uint8Array;
  readonly descriptors: Descriptors;
}

/** What to store of a scanned chunk. */
export interface StoreRequest {
  readonly rows: Uint32Array;
  readonly cuts: readonly number[];
  readonly compression?: Compression;
  readonly references?: PatchReferences | null;
}

/** The rows of each block, first and end: after `pagesMax` of them, and at each cut. */
function* blockSpans(rows: {
  readonly count: number;
  readonly cuts: readonly number[];
  readonly pagesMax: number;
}): Generator<readonly [number, number]> {
  const { count, cuts, pagesMax } = rows;
  let cut = 0;
  for (let first = 0; first < count;) {
    while (cut < cuts.length && cuts[cut]! <= first) cut += 1;
    const end = Math.min(first + pagesMax, count, cuts[cut] ?? count);
    yield [first, end];
    first = end;
  }
}

/** A chunk under way or scanned: its rows, and where their pages were kept in the slot. */
interface Slot {
  readonly address: number;
  readonly keptAt: Uint32Array;
  /** Blocks stored of the chunk. Shared, so that they cross to another thread without a copy. */
  stored: Uint8Array | null;
  rows: number;
  kept: number;
}

/** A slot's room for the blocks of so many pages. */
function roomOf(slot: Slot, pages: number): Uint8Array {
  const leastBytes = pages * PAGE_BYTES;
  if (slot.stored === null || slot.stored.byteLength < leastBytes) {
    const lengthBytes = leastBytes <= SMALL_ROOM_BYTES ? SMALL_ROOM_BYTES : CHUNK_BYTES;
    slot.stored = new Uint8Array(new SharedArrayBuffer(lengthBytes));
  }
  return slot.stored;
}

/** A stretch of pages of the chunk that is being scanned. */
interface Part {
  readonly request: ScanRequest;
  readonly slot: Slot;
  /** Counted from the chunk's first page. */
  readonly first: number;
  readonly count: number;
}

export class PageCore {
  /** Codes blocks in this core's memory. */
  readonly codec: BlockCodec;
  readonly #kernels: Kernels;
  readonly #bytes: Uint8Array;
  readonly #arena: number;
  readonly #slots: readonly Slot[];
  readonly #changed: Uint32Array;
  readonly #all: Uint32Array;
  readonly #gfns = new Uint32Array(CHUNK_PAGES);
  readonly #classes = new Uint8Array(CHUNK_PAGES);
  readonly #keptRows = new Uint32Array(WINDOW_PAGES);
  readonly #descriptors = new DescriptorColumn({ rowsMax: CHUNK_PAGES });
  readonly #classifier: PageClassifier;
  readonly #assembler: BlockAssembler;
  #writer: BlockWriter | null = null;
  #keys: EngineKeys | null = null;

  constructor({ slots }: { readonly slots: number }) {
    this.#kernels = loadKernels({ arenaBytes: SLOTS + slots * CHUNK_BYTES + PACKING_SLACK_BYTES });
    this.#bytes = this.#kernels.bytes;
    this.#arena = this.#kernels.arena;
    this.codec = new BlockCodec({ kernels: this.#kernels, area: this.#arena + CODEC });
    this.#assembler = new BlockAssembler({ kernels: this.#kernels, area: this.#arena + BLOCK });
    this.#classifier = new PageClassifier({
      kernels: this.#kernels,
      area: this.#arena + CLASSIFIER,
      windowPages: WINDOW_PAGES,
    });
    const { buffer } = this.#bytes;
    this.#changed = new Uint32Array(buffer, this.#arena + CHANGED, CHUNK_PAGES);
    this.#all = new Uint32Array(buffer, this.#arena + ALL, CHUNK_PAGES);
    for (let page = 0; page < CHUNK_PAGES; page += 1) this.#all[page] = page;
    this.#slots = Array.from({ length: slots }, (_, slot) => ({
      address: this.#arena + SLOTS + slot * CHUNK_BYTES,
      keptAt: new Uint32Array(CHUNK_PAGES),
      stored: null,
      rows: 0,
      kept: 0,
    }));
  }

  /** Sets the keys for what follows; the same object again costs nothing. */
  useKeys(keys: EngineKeys): void {
    if (this.#keys === keys) return;
    this.#keys = keys;
    this.#kernels.setKeys(keys);
    const page = this.#arena + BLOCK;
    this.#bytes.fill(0, page, page + PAGE_BYTES);
    this.#kernels.fingerprint({ pages: page, count: 1 }, this.#arena + ZERO_FINGERPRINT);
  }

  /** Sets the strings that widen the grammar of patterns, for what follows. */
  useGrammar(grammar: Grammar): void {
    this.#classifier.useGrammar(grammar);
  }

  /** Scans a chunk into a slot, whose pages stay there until the slot's next scan. */
  scan(slotNumber: number, request: ScanRequest): ChunkColumns {
    const { image, firstPage, pageCount, previous, next } = request;
    assert(pageCount > 0 && pageCount <= CHUNK_PAGES, 'a chunk has 1 to CHUNK_PAGES pages');
    assert(firstPage + pageCount <= image.pageCount, 'a chunk lies in its image');
    const slot = this.#slot(slotNumber);
    slot.rows = 0;
    slot.kept = 0;
    // What a scan that failed left there is no one's.
    this.#descriptors.take();
    const from = firstPage * FINGERPRINT_BYTES;
    const lengthBytes = pageCount * FINGERPRINT_BYTES;
    if (previous !== null)
      this.#bytes.set(new Uint8Array(previous, from, lengthBytes), this.#arena + PREVIOUS);
    const zeros = image.zeros?.subarray(firstPage, firstPage + pageCount) ?? null;
    for (let first = 0; first < pageCount;) {
      const isZero = zeros !== null && zeros[first] === 1;
      const countMax = isZero ? pageCount - first : Math.min(WINDOW_PAGES, pageCount - first);
      let count = 1;
      while (count < countMax && (zeros !== null && zeros[first + count] === 1) === isZero)
        count += 1;
      if (isZero) this.#scanZeros({ request, slot, first, count });
      else this.#scanWindow({ request, slot, first, count });
      first += count;
    }
    const column = this.#arena + NEXT;
    new Uint8Array(next, from, lengthBytes).set(this.#bytes.subarray(column, column + lengthBytes));
    return this.#columns(slot, pageCount);
  }

  /** Compresses kept pages of a scanned chunk, into memory of the slot: its next store overwrites it. */
  store(slotNumber: number, request: StoreRequest): PatchedBlocks {
    const { rows, cuts, compression = PACKED, references = null } = request;
    const slot = this.#slot(slotNumber);
    assert(rows.length <= CHUNK_PAGES, 'a chunk stores no more pages than it has');
    if (references !== null) checkReferences(references, rows.length);
    const writer = this.#blockWriter();
    writer.useRoom(roomOf(slot, rows.length));
    const patched = new Uint8Array(rows.length);
    for (const [first, end] of blockSpans({ count: rows.length, cuts, pagesMax: BLOCK_PAGES })) {
      const addresses = Array.from(rows.subarray(first, end), (row) => this.#addressOf(slot, row));
      const pages = this.#assembler.gather(addresses, { first, references, patched });
      writer.add(pages, compression);
    }
    return { ...writer.take(), patched };
  }

  /** Compresses pages at hand. */
  pack({ pages, cuts, level, references = null }: PackRequest): PatchedBlocks {
    assert(pages.byteLength % PAGE_BYTES === 0, 'pages to pack are whole');
    const count = pages.byteLength / PAGE_BYTES;
    assert(count <= CHUNK_PAGES, 'no more pages are packed at once than a chunk has');
    if (references !== null) checkReferences(references, count);
    const writer = this.#blockWriter();
    const patched = new Uint8Array(count);
    for (const [first, end] of blockSpans({ count, cuts, pagesMax: BLOCK_PAGES_MAX })) {
      const block = pages.subarray(first * PAGE_BYTES, end * PAGE_BYTES);
      const held = this.#assembler.copy(block, { first, references, patched });
      writer.add(held, { codec: CODEC_ZSTD, level });
    }
    return { ...writer.take(), patched };
  }

  /** Sketches of whole pages at hand. */
  sketch(pages: Uint8Array): Uint32Array {
    assert(pages.byteLength % PAGE_BYTES === 0, 'pages to sketch are whole');
    const pageCount = pages.byteLength / PAGE_BYTES;
    const sketches = new Uint32Array(pageCount * SKETCH_FEATURES);
    const [window, out] = [this.#arena + WINDOW, this.#arena + FRESH];
    for (let first = 0; first < pageCount; first += WINDOW_PAGES) {
      const count = Math.min(WINDOW_PAGES, pageCount - first);
      this.#bytes.set(pages.subarray(first * PAGE_BYTES, (first + count) * PAGE_BYTES), window);
      this.#kernels.similarity({ pages: window, count }, out);
      const found = new Uint32Array(this.#bytes.buffer, out, count * SKETCH_FEATURES);
      sketches.set(found, first * SKETCH_FEATURES);
    }
    return sketches;
  }

  /** Classes and identifiers of whole pages at hand, also of those that a pattern describes. */
  identify(pages: Uint8Array): { classes: Uint8Array; identifiers: Uint8Array } {
    assert(pages.byteLength % PAGE_BYTES === 0, 'pages to identify are whole');
    const pageCount = pages.byteLength / PAGE_BYTES;
    const classes = new Uint8Array(pageCount);
    const identifiers = new Uint8Array(pageCount * IDENTIFIER_BYTES);
    const window = this.#arena + WINDOW;
    for (let first = 0; first < pageCount; first += WINDOW_PAGES) {
      const count = Math.min(WINDOW_PAGES, pageCount - first);
      this.#bytes.set(pages.subarray(first * PAGE_BYTES, (first + count) * PAGE_BYTES), window);
      const list = { list: this.#arena + ALL, count, pages: window };
      const [outClasses, outIdentifiers] = [this.#arena + CLASSES, this.#arena + FRESH];
      this.#classifier.classify(list, outClasses);
      this.#kernels.identify(list, outIdentifiers);
      classes.set(this.#bytes.subarray(outClasses, outClasses + count), first);
      identifiers.set(
        this.#bytes.subarray(outIdentifiers, outIdentifiers + count * IDENTIFIER_BYTES),
        first * IDENTIFIER_BYTES,
      );
    }
    return { classes, identifiers };
  }

  #blockWriter(): BlockWriter {
    this.#writer ??= new BlockWriter({ codec: this.codec, pagesMax: CHUNK_PAGES });
    return this.#writer;
  }

  #slot(slotNumber: number): Slot {
    const slot = this.#slots[slotNumber];
    assert(slot !== undefined, 'a slot number is below the number of slots');
    return slot;
  }

  /** Pages that are zero by the image's own account: nothing is read. */
  #scanZeros(part: Part): void {
    const { slot, first, count, request } = part;
    const zero = this.#arena + ZERO_FINGERPRINT;
    const next = this.#arena + NEXT + first * FINGERPRINT_BYTES;
    for (let page = 0; page < count; page += 1)
      this.#bytes.copyWithin(next + page * FINGERPRINT_BYTES, zero, zero + FINGERPRINT_BYTES);
    const { count: candidates } = this.#candidates(part);
    const numbers = request.previous === null ? this.#all : this.#changed;
    for (let i = 0; i < candidates; i += 1)
      this.#addRow(slot, {
        gfn: request.firstPage + first + numbers[i]!,
        pageClass: CLASS_ZERO,
        keptAt: NOT_KEPT,
      });
  }

  #scanWindow(part: Part): void {
    const { request, slot, first, count } = part;
    const pages = slot.address + slot.kept * PAGE_BYTES;
    const firstGfn = request.firstPage + first;
    this.#read(request.image, { firstPage: firstGfn, pages: count, at: pages });
    const next = this.#arena + NEXT + first * FINGERPRINT_BYTES;
    this.#kernels.fingerprint({ pages, count }, next);
    const candidates = this.#candidates(part);
    if (candidates.count === 0) return;
    this.#classifier.classify({ ...candidates, pages }, this.#arena + CLASSES);
    const kept = this.#keep(slot, { pages, firstGfn, candidates });
    this.#identify(pages, kept);
  }

  /** Reads pages of an image into the arena. */
  #read(
    image: Image,
    of: { readonly firstPage: number; readonly pages: number; readonly at: number },
  ): void {
    for (let done = 0; done < of.pages;) {
      const { pages, offsetBytes } = stretchOf(image, of.firstPage + done, of.pages - done);
      const at = of.at + done * PAGE_BYTES;
      const lengthBytes = pages * PAGE_BYTES;
      const loose = looseOf(image, offsetBytes, lengthBytes);
      if (loose !== null) this.#bytes.set(loose, at);
      else
        readFully({
          file: image.file,
          bytes: this.#bytes,
          at,
          lengthBytes,
          offsetBytes,
          label: image.label,
        });
      done += pages;
    }
  }

  /** The pages of a part, counted from its first, that may have changed. */
  #candidates(part: Part): { readonly list: number; readonly count: number } {
    if (part.request.previous === null) return { list: this.#arena + ALL, count: part.count };
    const list = this.#arena + CHANGED;
    const offset = part.first * FINGERPRINT_BYTES;
    const previous = this.#arena + PREVIOUS + offset;
    const next = this.#arena + NEXT + offset;
    return { list, count: this.#kernels.changedRows({ previous, next, rows: part.count }, list) };
  }

  /** Makes rows of a window's candidates and closes up those to keep; returns how many. */
  #keep(
    slot: Slot,
    window: {
      readonly pages: number;
      readonly firstGfn: number;
      readonly candidates: { readonly list: number; readonly count: number };
    },
  ): number {
    const { pages, firstGfn, candidates } = window;
    const numbers = candidates.list === this.#arena + ALL ? this.#all : this.#changed;
    let kept = 0;
    for (let i = 0; i < candidates.count; i += 1) {
      const page = numbers[i]!;
      const gfn = firstGfn + page;
      const pageClass = this.#bytes[this.#arena + CLASSES + i]!;
      if (pageClass === CLASS_NONE) {
        if (page !== kept) {
          const from = pages + page * PAGE_BYTES;
          this.#bytes.copyWithin(pages + kept * PAGE_BYTES, from, from + PAGE_BYTES);
        }
        this.#keptRows[kept] = slot.rows;
        this.#addRow(slot, { gfn, pageClass, keptAt: slot.kept });
        slot.kept += 1;
        kept += 1;
      } else {
        this.#addRow(slot, { gfn, pageClass, keptAt: NOT_KEPT });
        if (isDescribed(pageClass)) this.#descriptors.add(this.#classifier.descriptor(i));
      }
    }
    return kept;
  }

  #addRow(
    slot: Slot,
    row: { readonly gfn: number; readonly pageClass: number; readonly keptAt: number },
  ): void {
    this.#gfns[slot.rows] = row.gfn;
    this.#classes[slot.rows] = row.pageClass;
    slot.keptAt[slot.rows] = row.keptAt;
    slot.rows += 1;
  }

  /** Identifiers of the pages just kept, into their rows. */
  #identify(pages: number, kept: number): void {
    const fresh = this.#arena + FRESH;
    this.#kernels.identify({ list: this.#arena + ALL, count: kept, pages }, fresh);
    for (let i = 0; i < kept; i += 1) {
      const from = fresh + i * IDENTIFIER_BYTES;
      const row = this.#arena + IDENTIFIERS + this.#keptRows[i]! * IDENTIFIER_BYTES;
      this.#bytes.copyWithin(row, from, from + IDENTIFIER_BYTES);
    }
  }

  #columns(slot: Slot, pageCount: number): ChunkColumns {
    const { rows } = slot;
    const from = this.#arena + IDENTIFIERS;
    const identifiers = this.#bytes.slice(from, from + rows * IDENTIFIER_BYTES);
    // The column still holds identifiers of an earlier chunk in the rows of pattern pages.
    for (let row = 0; row < rows; row += 1)
      if (slot.keptAt[row] === NOT_KEPT)
        identifiers.fill(0, row * IDENTIFIER_BYTES, (row + 1) * IDENTIFIER_BYTES);
    return {
      unchanged: pageCount - rows,
      gfns: this.#gfns.slice(0, rows),
      classes: this.#classes.slice(0, rows),
      identifiers,
      descriptors: this.#descriptors.take(),
    };
  }

  /** Where a row's page lies. */
  #addressOf(slot: Slot, row: number): number {
    const keptAt = row < slot.rows ? slot.keptAt[row]! : NOT_KEPT;
    assert(keptAt !== NOT_KEPT, 'only rows of the chunk that no pattern describes are stored');
    return slot.address + keptAt * PAGE_BYTES;
  }
}
