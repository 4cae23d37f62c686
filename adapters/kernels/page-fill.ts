// Filling pages of a file from stored blocks: each needed block is checked and decoded once, and
// pages that lie side by side in the file are written with one call.

import { assert } from '../../domain/assert.ts';
import type { FillRequest } from '../../domain/page-engine.ts';
import { PAGE_BYTES } from '../../domain/page.ts';
import { checkTable, decodeBlockAt } from './codec.ts';
import { writeFully } from './file-pages.ts';

/** Pages staged for writing (4 MiB). */
const STAGED_PAGES_MAX = 1024;
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

/** Decodes and writes; its staging buffer is allocated at the first use and kept. */
export class PageFiller {
  #staging: Uint8Array | null = null;
  readonly #contents: Uint8Array[] = [];
  readonly #offsets = new Uint32Array(STAGED_PAGES_MAX);
  readonly #targets = new Uint32Array(STAGED_PAGES_MAX);
  #staged = 0;

  /** As PageEngine.fill. */
  fill(request: FillRequest): void {
    const { slots, pages, blocks } = request;
    assert(slots.length === pages.length, 'a fill has a page for each slot');
    const pageCount = checkTable(request);
    this.#staged = 0;
    this.#contents.length = 0;
    const rows = rowsBySlot(slots);
    let next = 0;
    let firstSlot = 0;
    let offsetBytes = 0;
    for (let block = 0; block < blocks.lengths.length && next < rows.length; block += 1) {
      const endSlot = firstSlot + blocks.pages[block]!;
      if (slots[rows[next]!]! < endSlot) {
        const content = decodeBlockAt(request, { block, offsetBytes });
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

  #stage(
    request: FillRequest,
    from: { readonly content: Uint8Array; readonly slot: number; readonly page: number },
  ): void {
    if (this.#staged === STAGED_PAGES_MAX) this.#flush(request);
    this.#contents[this.#staged] = from.content;
    this.#offsets[this.#staged] = from.slot * PAGE_BYTES;
    this.#targets[this.#staged] = from.page;
    this.#staged += 1;
  }

  /** Lays the staged pages out in the file's order and writes each run of neighbours at once. */
  #flush(request: FillRequest): void {
    const count = this.#staged;
    this.#staging ??= new Uint8Array(STAGED_PAGES_MAX * PAGE_BYTES);
    const order = new Float64Array(count);
    for (let i = 0; i < count; i += 1) order[i] = this.#targets[i]! * STAGED_BOUND + i;
    order.sort();
    let runStart = 0;
    for (let place = 0; place < count; place += 1) {
      const i = order[place]! % STAGED_BOUND;
      const from = this.#offsets[i]!;
      const page = this.#contents[i]!.subarray(from, from + PAGE_BYTES);
      this.#staging.set(page, place * PAGE_BYTES);
      const target = this.#targets[i]!;
      const following = place + 1 === count ? -1 : Math.floor(order[place + 1]! / STAGED_BOUND);
      if (following === target + 1) continue;
      this.#write(request, { runStart, runEnd: place + 1, lastPage: target });
      runStart = place + 1;
    }
    this.#staged = 0;
    this.#contents.length = 0;
  }

  #write(
    request: FillRequest,
    run: { readonly runStart: number; readonly runEnd: number; readonly lastPage: number },
  ): void {
    const pageCount = run.runEnd - run.runStart;
    const firstPage = run.lastPage - pageCount + 1;
    writeFully({
      fd: request.fd,
      bytes: this.#staging!,
      at: run.runStart * PAGE_BYTES,
      lengthBytes: pageCount * PAGE_BYTES,
      offsetBytes: request.offsetBytes + firstPage * PAGE_BYTES,
      label: request.label,
    });
  }
}
