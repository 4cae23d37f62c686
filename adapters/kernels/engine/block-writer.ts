// Blocks of pages one after another, as they will stand in a pack: their bytes back to back and the
// columns of their table (domain/values/pack.ts).

import { assert } from '../../../domain/values/assert.ts';
import type { Compression, StoredBlocks } from '../../../domain/ports/page-engine.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import type { BlockCodec } from '../codec/codec.ts';

/** Collects blocks; its room is allocated once and used again after each `take`. */
export class BlockWriter {
  readonly #codec: BlockCodec;
  readonly #bytes: Uint8Array;
  readonly #codecs: Uint8Array;
  readonly #pages: Uint8Array;
  readonly #lengths: Uint32Array;
  readonly #checksums: Uint32Array;
  #blocks = 0;
  #usedBytes = 0;

  /** Room for as many pages as `pagesMax`, in blocks of any size. */
  constructor({ codec, pagesMax }: { readonly codec: BlockCodec; readonly pagesMax: number }) {
    this.#codec = codec;
    this.#bytes = new Uint8Array(pagesMax * PAGE_BYTES);
    this.#codecs = new Uint8Array(pagesMax);
    this.#pages = new Uint8Array(pagesMax);
    this.#lengths = new Uint32Array(pagesMax);
    this.#checksums = new Uint32Array(pagesMax);
  }

  /** Encodes whole pages as the next block. */
  add(pages: Uint8Array, compression: Compression): void {
    const block = this.#codec.encode(pages, compression);
    const end = this.#usedBytes + block.bytes.byteLength;
    assert(end <= this.#bytes.byteLength, 'encoded blocks are never larger than their pages');
    this.#bytes.set(block.bytes, this.#usedBytes);
    this.#codecs[this.#blocks] = block.codec;
    this.#pages[this.#blocks] = pages.byteLength / PAGE_BYTES;
    this.#lengths[this.#blocks] = block.bytes.byteLength;
    this.#checksums[this.#blocks] = block.checksum;
    this.#blocks += 1;
    this.#usedBytes = end;
  }

  /** The blocks added since the last take, in arrays of exactly their size. */
  take(): StoredBlocks {
    const blocks = this.#blocks;
    const usedBytes = this.#usedBytes;
    this.#blocks = 0;
    this.#usedBytes = 0;
    return {
      bytes: this.#bytes.slice(0, usedBytes),
      codecs: this.#codecs.slice(0, blocks),
      pages: this.#pages.slice(0, blocks),
      lengths: this.#lengths.slice(0, blocks),
      checksums: this.#checksums.slice(0, blocks),
    };
  }
}
