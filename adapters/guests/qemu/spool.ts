// Where a guest's pages wait between its stream and the ledger: a sparse temporary file without a
// name, and a map of the pages that are zero. Pages are written as they come, the last version wins.
// A spool is used again for the next capture: what its file held before is hidden by the map.

import { closeSync, ftruncateSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from '../../../domain/values/assert.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import type { Image } from '../../../domain/ports/guests.ts';
import { memoryOfDescriptor } from '../../files/memory-file.ts';
import { makeTemporaryFolder, temporaryFailure } from '../temporary-folder.ts';
import { IS_CONTENT, IS_ZERO, zeroMarks } from '../zero-marks.ts';

/** Pages gathered before they are written. */
const RUN_PAGES = 256;

/** Takes pages in any order; nothing waits for a disk's sync. */
export class Spool {
  readonly #fd: number;
  readonly #place: string | undefined;
  /** Consecutive pages, not yet written: `#runPages` of them from `#runFirst` on. */
  #run = new Uint8Array(0);
  #runFirst = 0;
  #runPages = 0;
  #zeros = zeroMarks(0);
  #taken = 0;
  #closed = false;
  /** The image last given away, while it is valid. */
  #image: Image | null = null;

  constructor(options: { readonly folder?: string } = {}) {
    this.#place = options.folder;
    const folder = makeTemporaryFolder('pageledger-spool-', options.folder);
    try {
      this.#fd = openSync(join(folder, 'pages'), 'wx+', 0o600);
    } finally {
      rmSync(folder, { recursive: true });
    }
  }

  /** Forgets all pages: `pageCount` of them are zero until they are written. */
  begin(pageCount: number): void {
    assert(!this.#closed, 'a closed spool takes no pages');
    this.#runPages = 0;
    this.#image = null;
    if (this.#run.length === 0) this.#run = new Uint8Array(RUN_PAGES * PAGE_BYTES);
    if (this.#zeros.length === pageCount) this.#zeros.fill(IS_ZERO);
    else this.#zeros = zeroMarks(pageCount);
  }

  /** Takes the page at `source[offset]`. */
  write(page: number, source: Uint8Array, offset: number): void {
    const continues = page === this.#runFirst + this.#runPages;
    if (!continues || this.#runPages === RUN_PAGES) {
      this.flush();
      this.#runFirst = page;
    }
    this.#run.set(source.subarray(offset, offset + PAGE_BYTES), this.#runPages * PAGE_BYTES);
    this.#runPages++;
    this.#zeros[page] = IS_CONTENT;
    this.#taken++;
  }

  /** Reads a page that was written back into `into`. */
  read(page: number, into: Uint8Array): void {
    assert(this.#zeros[page] === IS_CONTENT, 'a page is read that was written');
    this.flush();
    try {
      for (let done = 0; done < PAGE_BYTES;) {
        const got = readSync(this.#fd, into, done, PAGE_BYTES - done, page * PAGE_BYTES + done);
        assert(got > 0, 'what was written is there');
        done += got;
      }
    } catch (error) {
      throw temporaryFailure(error, this.#place);
    }
  }

  /** Takes a page whose bytes are all `byte`. */
  fill(page: number, byte: number): void {
    if (byte === 0) {
      this.#zeros[page] = IS_ZERO;
      this.#taken++;
    } else this.write(page, new Uint8Array(PAGE_BYTES).fill(byte), 0);
  }

  /** Writes what was gathered; before it the image may lack the last pages. */
  flush(): void {
    const bytes = this.#run.subarray(0, this.#runPages * PAGE_BYTES);
    this.#runPages = 0;
    const first = this.#runFirst * PAGE_BYTES;
    try {
      for (let done = 0; done < bytes.length;)
        done += writeSync(this.#fd, bytes, done, bytes.length - done, first + done);
    } catch (error) {
      throw temporaryFailure(error, this.#place);
    }
  }

  /** The pages as an image, valid until `begin` or `close`. */
  image(label: string): Image {
    assert(this.#runPages === 0, 'a spool is flushed before it is read');
    const { length: pageCount } = this.#zeros;
    this.#image = {
      file: memoryOfDescriptor(this.#fd),
      offsetBytes: 0,
      pageCount,
      zeros: this.#zeros,
      label,
    };
    return this.#image;
  }

  /** Whether an image of this spool is still valid. */
  holds(image: Image): boolean {
    return !this.#closed && this.#image === image;
  }

  /** How many pages it took, all in all. */
  get taken(): number {
    return this.#taken;
  }

  /** Lets go of the pages, and of the room that they take; the image is not valid any more. */
  release(): void {
    if (this.#closed) return;
    this.#image = null;
    this.#runPages = 0;
    this.#run = new Uint8Array(0);
    this.#zeros = zeroMarks(0);
    ftruncateSync(this.#fd);
  }

  close(): void {
    if (!this.#closed) closeSync(this.#fd);
    this.#closed = true;
  }
}
