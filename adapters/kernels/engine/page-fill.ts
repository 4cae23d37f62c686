// Making pages of stored blocks and writing them: each block is read, checked and decoded once, its
// pages are laid into memory, and pages that lie side by side in the file are written with one call. A
// page that is a patch is made of several: the first one laid into its room is copied, the others are
// XORed onto it, in whatever order they come. Nothing is written before all blocks were found sound.

import { assert } from '../../../domain/values/assert.ts';
import { saltBytesOf } from '../../../domain/values/block-salt.ts';
import { isLedgerError } from '../../../domain/values/ledger-error.ts';
import { FILL_PAGES_MAX } from '../../../domain/ports/page-engine.ts';
import type { FillPiece, FillRequest, Grammar } from '../../../domain/ports/page-engine.ts';
import { BLOCK_PAGES_MAX, PAGE_BYTES } from '../../../domain/values/page.ts';
import { errnoOf } from '../../files/failures.ts';
import { withOpenMemory } from '../../files/memory-file.ts';
import type { BlockCodec } from '../codec/codec.ts';
import { readFully, writeFully } from './file-pages.ts';

const WORDS = PAGE_BYTES / Int32Array.BYTES_PER_ELEMENT;
/** A buffer begins 16 bytes into a machine page, and reading to there is slow: to a line it is not. */
const LINE_START_BYTES = 48;
/** Room for what is read as one; larger pieces get a larger one. */
const READ_BYTES = 1.5 * 1024 * 1024;
const TARGET_LABEL = 'pages';

/** Room that files are read into fast. */
const roomOf = (lengthBytes: number): Uint8Array =>
  new Uint8Array(new ArrayBuffer(LINE_START_BYTES + lengthBytes), LINE_START_BYTES);

/** Whether a piece's bytes are at hand. */
export const areBytes = (from: FillPiece['from']): from is Uint8Array => ArrayBuffer.isView(from);

/** Whether a row of a table can be of a block in `lengthBytes` bytes from `start` on. */
function isPossible(
  { blocks, starts }: FillRequest,
  { block, lengthBytes }: { readonly block: number; readonly lengthBytes: number },
): boolean {
  const pages = blocks.pages[block]!;
  const length = blocks.lengths[block]!;
  const lengthMax = pages * PAGE_BYTES + saltBytesOf(blocks.codecs[block]!);
  return pages <= BLOCK_PAGES_MAX && length <= lengthMax && starts[block]! + length <= lengthBytes;
}

/** Reads, decodes and writes; its rooms are allocated at the first use and kept. */
export class PageFiller {
  readonly #codec: BlockCodec;
  #pages: Uint8Array | null = null;
  #words: Int32Array = new Int32Array(0);
  #stored: Uint8Array = new Uint8Array(0);
  readonly #isBegun = new Uint8Array(FILL_PAGES_MAX);
  #grammar: Grammar = [];

  constructor(codec: BlockCodec) {
    this.#codec = codec;
  }

  /** Sets the strings that widen the grammar of patterns, for what follows. */
  useGrammar(grammar: Grammar): void {
    this.#grammar = grammar;
  }

  /** As PageEngine.fill. */
  fill(request: FillRequest): readonly number[] {
    assert(
      request.pages.length <= FILL_PAGES_MAX,
      'no more pages are filled in than there is room',
    );
    this.#pages ??= roomOf(FILL_PAGES_MAX * PAGE_BYTES);
    this.#words = new Int32Array(
      this.#pages.buffer,
      this.#pages.byteOffset,
      FILL_PAGES_MAX * WORDS,
    );
    this.#isBegun.fill(0, 0, request.pages.length);
    const failed: number[] = [];
    let firstBlock = 0;
    for (const piece of request.pieces) {
      const bytes = this.#bytesOf(piece);
      for (let block = firstBlock; block < piece.endBlock; block += 1)
        if (bytes === null || !this.#lay(request, { piece, block, bytes })) failed.push(block);
      firstBlock = piece.endBlock;
    }
    assert(firstBlock === request.blocks.lengths.length, 'every block is in a piece');
    if (failed.length === 0) this.#write(request);
    return failed;
  }

  /** The bytes of a piece; null: they cannot be read. */
  #bytesOf({ from, offsetBytes, lengthBytes, label }: FillPiece): Uint8Array | null {
    if (areBytes(from)) return from;
    if (this.#stored.length < lengthBytes) this.#stored = roomOf(Math.max(READ_BYTES, lengthBytes));
    const stretch = { bytes: this.#stored, at: 0, lengthBytes, offsetBytes, label };
    try {
      withOpenMemory(from, (file) => readFully({ ...stretch, file }));
    } catch (thrown) {
      // Who asked reads it again, and tells why it cannot be read.
      if (isLedgerError(thrown) || errnoOf(thrown) !== null) return null;
      throw thrown;
    }
    return this.#stored.subarray(0, lengthBytes);
  }

  /** Lays the pages of a block into their rooms; false: it is damaged. */
  #lay(
    request: FillRequest,
    of: { readonly piece: FillPiece; readonly block: number; readonly bytes: Uint8Array },
  ): boolean {
    const { piece, block, bytes } = of;
    const { blocks, starts, rowEnds, slots, rooms } = request;
    if (!isPossible(request, { block, lengthBytes: bytes.length })) return false;
    let content: Uint8Array;
    try {
      const run = { bytes, blocks, label: piece.label };
      content = this.#codec.decodeAt(run, { block, offsetBytes: starts[block]! }, this.#grammar);
    } catch (thrown) {
      if (isLedgerError(thrown)) return false;
      throw thrown;
    }
    // Words are XORed, so pages begin on one.
    if (content.byteOffset % Int32Array.BYTES_PER_ELEMENT !== 0) content = content.slice();
    for (let row = block === 0 ? 0 : rowEnds[block - 1]!; row < rowEnds[block]!; row += 1) {
      const slot = slots[row]!;
      const room = rooms[row]!;
      assert(slot < blocks.pages[block]! && room < request.pages.length, 'a row is of its block');
      if (this.#isBegun[room] === 1) this.#xor(content, slot, room);
      else this.#copy(content, slot, room);
    }
    return true;
  }

  #copy(content: Uint8Array, slot: number, room: number): void {
    this.#isBegun[room] = 1;
    const page = content.subarray(slot * PAGE_BYTES, (slot + 1) * PAGE_BYTES);
    this.#pages!.set(page, room * PAGE_BYTES);
  }

  #xor(content: Uint8Array, slot: number, room: number): void {
    const words = this.#words;
    const at = room * WORDS;
    const stored = new Int32Array(content.buffer, content.byteOffset + slot * PAGE_BYTES, WORDS);
    for (let i = 0; i < WORDS; i += 1) words[at + i]! ^= stored[i]!;
  }

  /** Writes each run of neighbours at once. */
  #write({ pages, file, offsetBytes }: FillRequest): void {
    for (let first = 0; first < pages.length;) {
      let end = first + 1;
      while (end < pages.length && pages[end] === pages[end - 1]! + 1) end += 1;
      writeFully({
        file,
        bytes: this.#pages!,
        at: first * PAGE_BYTES,
        lengthBytes: (end - first) * PAGE_BYTES,
        offsetBytes: offsetBytes + pages[first]! * PAGE_BYTES,
        label: TARGET_LABEL,
      });
      first = end;
    }
  }
}
