// Filling pages of a file from stored blocks: each needed block is checked and decoded once, and
// pages that lie side by side in the file are written with one call. Patches are
// laid onto what the file holds: such a run is read with one call before it is written.

import { crc32 } from 'node:zlib';
import { assert } from '../../../domain/values/assert.ts';
import type { FillRequest, Grammar } from '../../../domain/ports/page-engine.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { checkTable, type BlockCodec } from '../codec/codec.ts';
import { readBack, writeFully } from './file-pages.ts';

/** Pages staged for writing (4 MiB). */
const STAGED_PAGES_MAX = 1024;
const STAGED_BYTES_MAX = STAGED_PAGES_MAX * PAGE_BYTES;
/** A buffer begins 16 bytes into a machine page, and reading to there is slow: to a line it is not. */
const LINE_START_BYTES = 48;
/** Keys for sorting hold two numbers below these bounds, exactly, in a double. */
const ROW_BOUND = 2 ** 32;
const STAGED_BOUND = 2 ** 20;

/** The rows of a request in the order of their slots. */
function rowsBySlot(slots: Uint32Array): Uint32Array {
  const rows = Uint32Array.from(slots.keys());
  const isAscending = slots.every((slot, row) => row === 0 || slots[row - 1]! <= slot);
  if (isAscending) return rows;
  const keys = Float64Array.from(slots, (slot, row) => slot * ROW_BOUND + row).toSorted();
  return rows.map((_, place) => keys[place]! % ROW_BOUND);
}

/** Room for staged pages, which files are read into fast. */
const stagingRoom = (): Uint8Array =>
  new Uint8Array(new ArrayBuffer(LINE_START_BYTES + STAGED_BYTES_MAX), LINE_START_BYTES);

/** XORs the first `lengthBytes` of `held` onto those of `bytes` at `at`; all are multiples of 4. */
function xorOnto(
  bytes: Uint8Array,
  held: Uint8Array,
  span: { readonly at: number; readonly lengthBytes: number },
): void {
  const count = span.lengthBytes / Int32Array.BYTES_PER_ELEMENT;
  const target = new Int32Array(bytes.buffer, bytes.byteOffset + span.at, count);
  const source = new Int32Array(held.buffer, held.byteOffset, count);
  for (let i = 0; i < count; i += 1) target[i]! ^= source[i]!;
}

/** Decodes and writes; its buffers are allocated at the first use and kept. */
export class PageFiller {
  readonly #codec: BlockCodec;
  /** Pages as they were decoded, until they are laid out. */
  #decoded: Uint8Array | null = null;
  #staging: Uint8Array | null = null;
  /** What the file holds where a run of patches goes. */
  #held: Uint8Array | null = null;
  readonly #targets = new Uint32Array(STAGED_PAGES_MAX);
  #staged = 0;
  #grammar: Grammar = [];

  constructor(codec: BlockCodec) {
    this.#codec = codec;
  }

  /** Sets the strings that widen the grammar of patterns, for what follows. */
  useGrammar(grammar: Grammar): void {
    this.#grammar = grammar;
  }

  /** As PageEngine.fill. */
  fill(request: FillRequest): void {
    const { slots, pages, blocks } = request;
    assert(slots.length === pages.length, 'a fill has a page for each slot');
    const pageCount = checkTable(request);
    if (request.mode === 'xor') this.#checkAll(request);
    this.#staged = 0;
    const rows = rowsBySlot(slots);
    let next = 0;
    let firstSlot = 0;
    let offsetBytes = 0;
    for (let block = 0; block < blocks.lengths.length && next < rows.length; block += 1) {
      const endSlot = firstSlot + blocks.pages[block]!;
      if (slots[rows[next]!]! < endSlot) {
        const content = this.#codec.decodeAt(request, { block, offsetBytes }, this.#grammar);
        while (next < rows.length && slots[rows[next]!]! < endSlot) {
          const row = rows[next]!;
          this.#stage(request, { content, slot: slots[row]! - firstSlot, page: pages[row]! });
          next += 1;
        }
      }
      firstSlot = endSlot;
      offsetBytes += blocks.lengths[block]!;
    }
    assert(next === rows.length, `slots of a fill are below its blocks' ${pageCount} pages`);
    this.#flush(request);
  }

  /** A mask is XORed once only, so damage is found before the first one is: who asks may ask again. */
  #checkAll(request: FillRequest): void {
    const { bytes, blocks } = request;
    let offsetBytes = 0;
    for (let block = 0; block < blocks.lengths.length; block += 1) {
      const stored = bytes.subarray(offsetBytes, offsetBytes + blocks.lengths[block]!);
      // Decoding tells what is wrong, and where.
      if (crc32(stored) !== blocks.checksums[block])
        this.#codec.decodeAt(request, { block, offsetBytes }, this.#grammar);
      offsetBytes += blocks.lengths[block]!;
    }
  }

  #stage(
    request: FillRequest,
    from: { readonly content: Uint8Array; readonly slot: number; readonly page: number },
  ): void {
    if (this.#staged === STAGED_PAGES_MAX) this.#flush(request);
    this.#decoded ??= stagingRoom();
    const at = from.slot * PAGE_BYTES;
    this.#decoded.set(from.content.subarray(at, at + PAGE_BYTES), this.#staged * PAGE_BYTES);
    this.#targets[this.#staged] = from.page;
    this.#staged += 1;
  }

  /** Lays the staged pages out in the file's order and writes each run of neighbours at once. */
  #flush(request: FillRequest): void {
    const count = this.#staged;
    this.#staging ??= stagingRoom();
    const order = new Float64Array(count);
    for (let i = 0; i < count; i += 1) order[i] = this.#targets[i]! * STAGED_BOUND + i;
    order.sort();
    let runStart = 0;
    for (let place = 0; place < count; place += 1) {
      const i = order[place]! % STAGED_BOUND;
      const from = i * PAGE_BYTES;
      this.#staging.set(this.#decoded!.subarray(from, from + PAGE_BYTES), place * PAGE_BYTES);
      const target = this.#targets[i]!;
      const following = place + 1 === count ? -1 : Math.floor(order[place + 1]! / STAGED_BOUND);
      if (following === target + 1) continue;
      this.#write(request, { runStart, runEnd: place + 1, lastPage: target });
      runStart = place + 1;
    }
    this.#staged = 0;
  }

  #write(
    request: FillRequest,
    run: { readonly runStart: number; readonly runEnd: number; readonly lastPage: number },
  ): void {
    const pageCount = run.runEnd - run.runStart;
    const firstPage = run.lastPage - pageCount + 1;
    const stretch = {
      file: request.file,
      bytes: this.#staging!,
      at: run.runStart * PAGE_BYTES,
      lengthBytes: pageCount * PAGE_BYTES,
      offsetBytes: request.offsetBytes + firstPage * PAGE_BYTES,
      label: request.label,
    };
    if (request.mode === 'xor') {
      this.#held ??= stagingRoom();
      readBack({ ...stretch, bytes: this.#held, at: 0 });
      xorOnto(stretch.bytes, this.#held, stretch);
    }
    writeFully(stretch);
  }
}
