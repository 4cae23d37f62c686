// Pages on their way to another host, as what they differ in from pages that it has, where that is less
// than half a page: the page XOR the other one.

import { PATCH_BYTES_MAX } from '../../../domain/events/patches.ts';
import { sharedMemory, type PageRun } from '../../../domain/ports/guests.ts';
import type { PageReader } from '../../../domain/use-cases/pages/page-reader.ts';
import { ZERO } from '../../../domain/values/holding.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';

/** Pages that are sent: one after the other, or patches of any. Valid until the next ones are asked for. */
export type SentPages =
  | ({ readonly _tag: 'whole' } & PageRun)
  | { readonly _tag: 'patches'; readonly gfns: Uint32Array; readonly masks: Uint8Array };

/** The page XOR the other one to `mask`; how many bytes differ. */
function maskOf(page: Uint8Array, other: Uint8Array, mask: Uint8Array): number {
  let differing = 0;
  for (let i = 0; i < PAGE_BYTES; i += 1) {
    const byte = page[i]! ^ other[i]!;
    mask[i] = byte;
    if (byte !== 0) differing += 1;
  }
  return differing;
}

const pageIn = (bytes: Uint8Array, page: number): Uint8Array =>
  bytes.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES);

/** Makes patches of the pages of a table. */
export class PagePatches {
  readonly #reader: PageReader;
  readonly #references: Uint32Array;
  #room = new SharedArrayBuffer(0);
  #masks = new Uint8Array(0);

  /** `references`: by page, what a patch of it may be of; ZERO: it is sent whole. */
  constructor(reader: PageReader, references: Uint32Array) {
    this.#reader = reader;
    this.#references = references;
  }

  /** What is sent of a run: its patches, then the pages between them. References that cannot be read are none. */
  async *of({ firstPage, pages }: PageRun): AsyncGenerator<SentPages> {
    const count = pages.length / PAGE_BYTES;
    const table = this.#references.slice(firstPage, firstPage + count);
    if (table.every((holding) => holding === ZERO)) {
      yield { _tag: 'whole', firstPage, pages };
      return;
    }
    const others = await this.#read(table);
    const gfns: number[] = [];
    const isPatched = new Uint8Array(count);
    for (let page = 0; page < count; page += 1) {
      if (table[page] === ZERO) continue;
      const mask = pageIn(this.#masks, gfns.length);
      if (maskOf(pageIn(pages, page), pageIn(others, page), mask) >= PATCH_BYTES_MAX) continue;
      gfns.push(firstPage + page);
      isPatched[page] = 1;
    }
    if (gfns.length > 0) {
      const masks = this.#masks.subarray(0, gfns.length * PAGE_BYTES);
      yield { _tag: 'patches', gfns: Uint32Array.from(gfns), masks };
    }
    for (let page = 0; page < count; page += 1) {
      if (isPatched[page] === 1) continue;
      const next = isPatched.indexOf(1, page);
      const end = next < 0 ? count : next;
      const between = pages.subarray(page * PAGE_BYTES, end * PAGE_BYTES);
      yield { _tag: 'whole', firstPage: firstPage + page, pages: between };
      page = end;
    }
  }

  /** The pages of a table, in their places; those that cannot be read are ZERO in it from now on. */
  async #read(table: Uint32Array): Promise<Uint8Array> {
    const bytes = table.length * PAGE_BYTES;
    if (this.#room.byteLength < bytes) {
      this.#room = new SharedArrayBuffer(bytes);
      this.#masks = new Uint8Array(bytes);
    }
    const onLost = (pages: Uint32Array): void => {
      for (const page of pages) table[page] = ZERO;
    };
    const target = { file: sharedMemory(this.#room), offsetBytes: 0 };
    await this.#reader.fill(
      { table: table.slice(), label: 'what the other host has', onLost },
      target,
    );
    return new Uint8Array(this.#room);
  }
}
