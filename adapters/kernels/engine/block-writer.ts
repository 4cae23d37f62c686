// Blocks of pages one after another, as they will stand in a pack: their bytes back to back and the
// columns of their table (domain/values/pack.ts).

import { assert } from '../../../domain/values/assert.ts';
import type { Compression, StoredBlocks } from '../../../domain/ports/page-engine.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import type { BlockCodec } from '../codec/codec.ts';

/** Collects blocks; its columns are allocated once and used again after each `take`. */
export class BlockWriter {
  readonly #codec: BlockCodec;
  readonly #pagesMax: number;
  /**
   * Where blocks are put together, whoever lends room: what threads share is copied a byte at a time to a
   * place that lies otherwise to the words of memory, as most blocks' does, and as words from its beginning.
   */
  #own: Uint8Array | null = null;
  #lent: Uint8Array | null = null;
  readonly #codecs: Uint8Array;
  readonly #pages: Uint8Array;
  readonly #lengths: Uint32Array;
  readonly #checksums: Uint32Array;
  #blocks = 0;
  #usedBytes = 0;

  /** Room for as many pages as `pagesMax`, in blocks of any size. */
  constructor({ codec, pagesMax }: { readonly codec: BlockCodec; readonly pagesMax: number }) {
    this.#codec = codec;
    this.#pagesMax = pagesMax;
    this.#codecs = new Uint8Array(pagesMax);
    this.#pages = new Uint8Array(pagesMax);
    this.#lengths = new Uint32Array(pagesMax);
    this.#checksums = new Uint32Array(pagesMax);
  }

  /** The next `take` puts its blocks into room of the caller's, as large as their pages. */
  useRoom(room: Uint8Array): void {
    assert(this.#usedBytes === 0, 'blocks that were added lie in one room');
    this.#lent = room;
  }

  /** Encodes whole pages as the next block. */
  add(pages: Uint8Array, compression: Compression): void {
    const room = this.#ownRoom();
    const block = this.#codec.encode(pages, compression);
    const end = this.#usedBytes + block.bytes.byteLength;
    assert(end <= room.byteLength, 'encoded blocks are never larger than their pages');
    room.set(block.bytes, this.#usedBytes);
    this.#codecs[this.#blocks] = block.codec;
    this.#pages[this.#blocks] = pages.byteLength / PAGE_BYTES;
    this.#lengths[this.#blocks] = block.bytes.byteLength;
    this.#checksums[this.#blocks] = block.checksum;
    this.#blocks += 1;
    this.#usedBytes = end;
  }

  /**
   * The blocks added since the last take, in arrays of exactly their size; bytes in room that was lent as
   * a view of it.
   */
  take(): StoredBlocks {
    const blocks = this.#blocks;
    const usedBytes = this.#usedBytes;
    const lent = this.#lent;
    this.#blocks = 0;
    this.#usedBytes = 0;
    this.#lent = null;
    const bytes = this.#ownRoom().subarray(0, usedBytes);
    lent?.set(bytes);
    return {
      bytes: lent?.subarray(0, usedBytes) ?? bytes.slice(),
      codecs: this.#codecs.slice(0, blocks),
      pages: this.#pages.slice(0, blocks),
      lengths: this.#lengths.slice(0, blocks),
      checksums: this.#checksums.slice(0, blocks),
    };
  }

  #ownRoom(): Uint8Array {
    return (this.#own ??= new Uint8Array(this.#pagesMax * PAGE_BYTES));
  }
}
